"""nginx and HAProxy with the files of ``deploy/``; only the addresses differ."""

import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mailboxes import a_free_port
from processes import ROOT, program, until_listening

DEPLOY = ROOT / "deploy"
FRONTS = ("nginx", "haproxy")


@dataclass(frozen=True)
class Behind:
    """The addresses of one gateway: for clients, and of its admin listener."""

    port: int
    admin: int


@dataclass(frozen=True)
class Front:
    """A reverse proxy with its whole configuration, on a port of loopback."""

    name: str
    port: int
    config: Path

    @classmethod
    def of(cls, name: str, folder: Path, behind: Sequence[Behind]) -> "Front":
        """The file ``name`` with these gateways instead of its own."""
        write = _nginx if name == "nginx" else _haproxy
        port = a_free_port()
        return cls(name, port, write(folder, port, behind))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def check(self) -> str:
        """The result of the program's own check of its configuration; "" if it is valid."""
        ways = {"nginx": ("-t", "-q", "-e", "stderr", "-c"), "haproxy": ("-c", "-q", "-f")}
        command = [self.name, *ways[self.name], str(self.config)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return (ended.stderr + ended.stdout) or ("refused" if ended.returncode else "")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Front"]:
        ways = {"nginx": ("-e", "stderr", "-c"), "haproxy": ("-db", "-f")}
        async with program(self.name, *ways[self.name], str(self.config)) as process:
            await until_listening(self.port, process)
            yield self


def _fragment(name: str, behind: Sequence[Behind]) -> str:
    """A file of deploy/ with the gateways ``behind``; each replacement must match."""
    text = (DEPLOY / name).read_text("utf-8")
    for letter, gateway in zip("ab", behind, strict=True):
        here = f"127.0.0.1:{gateway.port}"
        if name.endswith(".cfg"):
            here += f" port {gateway.admin}"
        assert f"gateway-{letter}:8440" in text
        text = re.sub(rf"gateway-{letter}:8440", here, text)
    return text


def _nginx(folder: Path, port: int, behind: Sequence[Behind]) -> Path:
    fragment = _fragment("nginx.conf", behind)
    assert "listen 80;" in fragment
    (folder / "certless.conf").write_text(
        fragment.replace("listen 80;", f"listen 127.0.0.1:{port};")
    )
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        # One process in the foreground, so that it can be ended by its id.
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n"
        f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{places}"
        f"include {folder}/certless.conf;\n}}\n"
    )
    return config


def _haproxy(folder: Path, port: int, behind: Sequence[Behind]) -> Path:
    fragment = _fragment("haproxy.cfg", behind)
    assert "bind :80\n" in fragment
    config = folder / "haproxy.cfg"
    config.write_text(f"global\n{fragment.replace('bind :80', f'bind 127.0.0.1:{port}')}")
    return config
