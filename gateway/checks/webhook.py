"""A second check by another service: a signed POST that only ``{"ok": true}`` answers with yes.

::

    POST URL
    Certless-Signature: t=1700000000,v1=HEX
    {"username", "session", "time_ms", "nonce", "members"}

HEX is HMAC-SHA256 of ``1700000000.BODY`` under the shared secret. The service can wait for a
person, for instance for a push to a phone, until the timeout.
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from gateway.clock import Clock
from gateway.config.settings import http_url
from gateway.errors import ConfigError, GatewayError

SECRET_VARIABLE = "CERTLESS_SECOND_CHECK_SECRET"
SIGNATURE = "Certless-Signature"
_LEAST_SECRET_CHARS = 32
_MOST_ANSWER_BYTES = 4096
# A flood of logins opens at most this many connections.
_CONNECTIONS = 256
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class CheckFailed(GatewayError):
    """The service gave no valid answer."""


def signature(secret: bytes, time_s: int, body: bytes) -> str:
    """The value of the header ``Certless-Signature``."""
    digest = hmac.new(secret, b"%d." % time_s + body, hashlib.sha256).hexdigest()
    return f"t={time_s},v1={digest}"


class CheckWebhook:
    """Asks one URL, for each login once."""

    def __init__(self, url: URL, secret: bytes, timeout_s: float, clock: Clock) -> None:
        self.url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def confirms(self, username: str, session: str, members: Mapping[str, Any]) -> bool:
        """Whether the service says yes. Raises: CheckFailed."""
        now_ms = self._clock()
        question = {
            "username": username,
            "session": session,
            "time_ms": now_ms,
            "nonce": secrets.token_hex(16),
            "members": dict(members),
        }
        body = json.dumps(question).encode()
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            SIGNATURE: signature(self._secret, now_ms // 1000, body),
        }
        try:
            # A redirect would take the question, with a password in it, to another place.
            async with self._opened().post(
                self.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
                content = b"" if status != 200 else await _read(response)
        except TimeoutError:
            raise CheckFailed(f"{self.url.host} did not answer in {self._timeout_s} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CheckFailed(f"{self.url.host}: {type(error).__name__}") from None
        if status != 200:
            raise CheckFailed(f"{self.url.host} says {status}")
        return _is_yes(content)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                # A new connection for each login: a reused one can close at that moment.
                connector=aiohttp.TCPConnector(force_close=True, limit=_CONNECTIONS),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = b""
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > _MOST_ANSWER_BYTES:
            raise CheckFailed(f"{response.url.host} answers more than {_MOST_ANSWER_BYTES} bytes")
    return content


def _is_yes(content: bytes) -> bool:
    try:
        answer = json.loads(content, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return False
    # Not "==", because 1 == True.
    return bool(
        isinstance(answer, list)
        and len(answer) == 1
        and isinstance(answer[0], tuple)
        and answer[0][0] == "ok"
        and answer[0][1] is True
    )


def check_webhook(
    url: str, secret_file: Path | None, timeout_s: float, clock: Clock
) -> CheckWebhook:
    """The webhook of the options. Raises: ConfigError, without secrets."""
    target = http_url(url)
    if target is None or (target.scheme != "https" and target.host not in _LOOPBACK):
        raise ConfigError("second_check must be https://HOST/…, or http:// on this machine")
    return CheckWebhook(target, _secret(secret_file), timeout_s, clock)


def _secret(file: Path | None) -> bytes:
    if file is None:
        text, where = os.environ.get(SECRET_VARIABLE, ""), SECRET_VARIABLE
    else:
        where = f"second_check_secret {file}"
        try:
            text = file.read_text("utf-8")
        except OSError as error:
            raise ConfigError(f"{where}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{where} must be text") from None
    text = text.strip()
    if len(text) < _LEAST_SECRET_CHARS:
        raise ConfigError(
            f"{where} must hold a secret of at least {_LEAST_SECRET_CHARS} characters, which the "
            "service knows too: openssl rand -hex 32"
        )
    return text.encode()
