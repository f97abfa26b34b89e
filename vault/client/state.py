"""What a program on one machine keeps of a vault between its runs, in a file for its owner alone.

A program that reads the file can open the vault, until the device is signed out.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from certless.client.private_files import ReadableByOthers, read_private, write_private
from vault.core.errors import VaultError
from vault.core.unlock_secrets import DEVICE_ID_BYTES, SECRET_BYTES

from .memory import Memory


class StateNotReadable(VaultError):
    """The file is not one of this program, or other users can read it."""


@dataclass(frozen=True, slots=True)
class DeviceSecret:
    """The id and the secret of this machine, as a device of the account."""

    id: bytes
    secret: bytes = field(repr=False)


@dataclass(slots=True)
class VaultState:
    """The vault that a program used last."""

    url: str
    username: str
    realm: str
    device: DeviceSecret | None = None
    memory: Memory = field(default_factory=Memory)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The state in the file ``path``, or None if there is no file. Raises: StateNotReadable."""
        try:
            content = read_private(path)
        except ReadableByOthers:
            raise StateNotReadable(f"other users can read {path}: chmod 600 {path}") from None
        if content is None:
            return None
        try:
            return cls._of(json.loads(content))
        except (ValueError, KeyError, TypeError):
            raise StateNotReadable(f"{path} is not a state of a vault: delete it") from None

    @classmethod
    def _of(cls, values: dict[str, Any]) -> Self:
        device = values["device"]
        state = cls(
            str(values["url"]),
            str(values["username"]),
            str(values["realm"]),
            device and DeviceSecret(bytes.fromhex(device["id"]), bytes.fromhex(device["secret"])),
            _memory(values["memory"]),
        )
        if state.device is not None:
            lengths = len(state.device.id), len(state.device.secret)
            if lengths != (DEVICE_ID_BYTES, SECRET_BYTES["device"]):
                raise ValueError("another length")
        return state

    def save(self, path: Path) -> None:
        """Replace the file ``path``. Raises: OSError."""
        device = self.device and {"id": self.device.id.hex(), "secret": self.device.secret.hex()}
        values = {
            "url": self.url,
            "username": self.username,
            "realm": self.realm,
            "device": device,
            "memory": asdict(self.memory),
        }
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps(values).encode())


def _memory(values: dict[str, Any]) -> Memory:
    heads = [bytes.fromhex(head).hex() for head in values["heads"]]
    return Memory(int(values["sequence"]), int(values["kdf"]), heads)
