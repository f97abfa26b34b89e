"""Session-bound keys in Flask behind the gateway: ``python examples/flask_session_keys.py``.

Start the gateway in front of it: ``python -m certless serve --upstream http://127.0.0.1:8450 ...
--require '/session-keys/*=ecdh-gcm'``. Only the gateway may reach this port, because the session
comes from its header. Run one worker.
"""

from flask import Flask, Response, jsonify, request

from session_crypto import SessionCryptoError, SessionCryptoManager
from session_crypto.setup import members_of

app = Flask(__name__)
app.config.update(
    SESSION_ENCRYPTION_ENABLED=True,
    SESSION_CRYPTO_EXPIRY=3600,
    SESSION_CRYPTO_CLEANUP_INTERVAL=300,
)
manager = SessionCryptoManager(app.config)


def session_id() -> str:
    """The session, as the gateway names it. It removes this header from the client's request."""
    return request.headers.get("X-Certless-Session", "")


@app.get("/session-keys/server-key")
def server_key() -> Response:
    """The server's half."""
    return jsonify(server_public_key=manager.get_server_public_key(session_id()))


@app.post("/session-keys/keys")
def keys() -> Response:
    """A new private key, sealed to the session."""
    client = str(request.get_json()["client_public_key"])
    return jsonify(members_of(manager.make_private_key(session_id(), client)))


@app.get("/session-stats")
def stats() -> Response:
    """Four figures."""
    return jsonify(manager.stats())


@app.errorhandler(SessionCryptoError)
def refused(error: SessionCryptoError) -> tuple[Response, int]:
    """Refusals. There is no fallback."""
    return jsonify(error=error.code, message=str(error)), error.status


if __name__ == "__main__":
    app.run("127.0.0.1", 8450, threaded=True)
