"""Search a server's memory for keys: ``python examples/demo_session_security.py`` (Linux).

A server process makes a session-bound key. This process is the browser, opens the key, and then
reads all memory of the server from ``/proc/PID/mem``, as root could. To show that the search works,
the server also has a canary, and a key that it made itself.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from session_crypto import SealedKey, SessionCryptoManager, open_sealed
from session_crypto.sealing import public_pem

SESSION = "0123456789abcdef0123456789abcdef"
CANARY_HALVES = ("a canary in the memory ", "of the server")


def serve() -> None:
    """The server process: answers one order, and waits to be searched."""
    canary = "".join(CANARY_HALVES)
    own = ec.generate_private_key(ec.SECP256R1())
    own_pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory() as folder:
        lock = str(Path(folder) / "lock")
        manager = SessionCryptoManager(
            {"SESSION_ENCRYPTION_ENABLED": True, "SESSION_CRYPTO_LOCK_FILE": lock}
        )
        client = json.loads(sys.stdin.readline())
        manager.get_server_public_key(SESSION)
        key = manager.make_private_key(SESSION, client)
        members = {
            "server_public_key": key.server_public_key,
            "iv": base64.b64encode(key.iv).decode(),
            "sealed": base64.b64encode(key.sealed).decode(),
            "public_key": key.public_key,
            "made_by_the_server": own_pem.decode(),
        }
        print(json.dumps(members), flush=True)
        sys.stdin.readline()
        assert canary  # noqa: S101 (it stays in memory until here)
        manager.close()


def memory(pid: int) -> bytes:
    """All memory of a process that can be read."""
    parts = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as mem:
        for line in maps:
            start, end = (int(edge, 16) for edge in line.split()[0].split("-"))
            if line.split()[1].startswith("r") and "[v" not in line:
                try:
                    mem.seek(start)
                    parts.append(mem.read(end - start))
                except OSError:
                    continue
    return b"\0".join(parts)


def spellings(pem: bytes) -> list[bytes]:
    """A private key as memory can have it: its number in both byte orders, DER and PEM."""
    key: Any = load_pem_private_key(pem, None)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return [number, number[::-1], der, *pem.splitlines()[1:2]]


def main() -> int:
    """Run the demonstration."""
    browser = ec.generate_private_key(ec.SECP256R1())
    command = [sys.executable, __file__, "serve"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdin is not None  # noqa: S101
        assert server.stdout is not None  # noqa: S101
        print(json.dumps(public_pem(browser.public_key())), file=server.stdin, flush=True)
        answer = json.loads(server.stdout.readline())
        seen = memory(server.pid)
        print(file=server.stdin, flush=True)
    key = SealedKey(
        answer["server_public_key"],
        base64.b64decode(answer["iv"]),
        base64.b64decode(answer["sealed"]),
        answer["public_key"],
    )
    secret = open_sealed(SESSION, browser, key)
    print(f"the browser has opened its key; the server has {len(seen) >> 20} MiB of memory")
    needles = {
        "the planted canary": ["".join(CANARY_HALVES).encode()],
        "a key that the server made itself": spellings(answer["made_by_the_server"].encode()),
        "the sealed key": [key.sealed],
        "the private key": spellings(secret),
    }
    found = {name: any(one in seen for one in forms) for name, forms in needles.items()}
    for name, is_found in found.items():
        print(f"in the server's memory: {name}: {'found' if is_found else 'not found'}")
    try:
        open_sealed(SESSION, ec.generate_private_key(ec.SECP256R1()), key)
        is_opened = True
    except ValueError:
        is_opened = False
    print(f"another client's key opens it: {'yes' if is_opened else 'no'}")
    return 0 if list(found.values()) == [True, True, True, False] and not is_opened else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(main())
