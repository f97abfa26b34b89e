"""The wheel and the source distribution, built and installed into empty environments."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from threading import Timer

import pytest
from processes import ROOT, started
from readme_renderer.markdown import render

from gateway import __version__

_PACKAGES = ("certless", "gateway", "issuing", "protocol", "session_crypto", "vault")
_SOURCES = ("client_js/package.json", "client_js/scripts", "client_js/src")
_SERVING = re.compile(r"serving (http://127\.0\.0\.1:\d+) ")
_UNUSED = shutil.ignore_patterns("node_modules", "dist", "__pycache__")
# Downloads of dependencies can be slow.
pytestmark = pytest.mark.timeout(300)


def _run(*command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The finished process. It does not find the modules of this checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def _checkout(folder: Path) -> Path:
    """A copy of what packages are built from, because a build writes beside its sources."""
    folder.mkdir()
    for name in (*_PACKAGES, "client_js"):
        shutil.copytree(ROOT / name, folder / name, ignore=_UNUSED)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    return folder


def _build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the source distribution, and the wheel from it."""
    return _run(sys.executable, "-m", "build", folder=folder)


@dataclass(frozen=True)
class Built:
    """What `make package` leaves in dist/."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = _checkout(tmp_path_factory.mktemp("packages") / "certless")
    done = _build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = folder.glob("dist/*.whl"), folder.glob("dist/*.tar.gz")
    return Built(wheel, sdist)


def _files(folder: Path) -> set[str]:
    """The files below ``folder`` of this checkout, without what a build or a run leaves."""
    return {
        str(path.relative_to(ROOT))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_a_wheel_holds_every_file_of_the_packages_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == set().union(*(_files(ROOT / name) for name in _PACKAGES))
    assert {"gateway/bundle/client.js", "gateway/bundle/LICENSES.txt"} <= names
    assert {f"{name}/py.typed" for name in _PACKAGES} <= names


def test_a_source_distribution_holds_also_the_sources_of_the_bundle(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = set().union(*(_files(ROOT / name) for name in _PACKAGES))
    for name in _SOURCES:
        sources |= _files(ROOT / name) if (ROOT / name).is_dir() else {name}
    assert sources <= names
    assert not any(name.startswith(("tests", "client_js/test/")) for name in names)


def test_the_metadata_of_a_wheel(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        info = f"certless-{__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()
    assert (metadata["Name"], metadata["Version"]) == ("certless", __version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"asgi", "demo", "redis"} <= set(metadata.get_all("Provides-Extra", []))
    assert licence == (ROOT / "LICENSE").read_text("utf-8")
    assert "certless = gateway.cli.main:main" in commands
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    assert isinstance(text, str)
    shown = render(text)
    assert shown is not None
    assert "Encrypted, authenticated HTTP" in shown


def test_without_the_bundle_no_package_is_built_and_one_line_says_why(tmp_path: Path) -> None:
    folder = _checkout(tmp_path / "certless")
    (folder / "gateway" / "bundle" / "client.js").unlink()
    text = "gateway/bundle/client.js is missing: run `make bundle`, then build"
    for kind in ("--sdist", "--wheel"):
        done = _run(sys.executable, "-m", "build", kind, folder=folder)
        lines = (done.stdout + done.stderr).splitlines()
        assert (done.returncode, lines.count(text)) == (1, 1)
        assert "Traceback" not in done.stdout + done.stderr
    assert not list(folder.glob("dist/*"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds one installed package and its dependencies."""

    bin: Path
    folder: Path

    def run(self, *command: str) -> str:
        """The output of a program of this environment."""
        done = _run(str(self.bin / command[0]), *command[1:], folder=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def serving(self, *options: str) -> Iterator[str]:
        """``certless serve``, and its URL."""
        command = [str(self.bin / "certless"), "serve", "--listen", "127.0.0.1:0", *options]
        with started(command, cwd=self.folder, stderr=subprocess.PIPE, text=True) as process:
            end = Timer(60, process.kill)
            end.start()
            assert process.stderr is not None
            log = ""
            try:
                for line in process.stderr:
                    log += line
                    if found := _SERVING.search(line):
                        yield found[1]
                        return
            finally:
                end.cancel()
            pytest.fail(log)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_installation_into_an_empty_environment_works(
    kind: str, built: Built, tmp_path: Path
) -> None:
    folder = tmp_path / "env"
    # The pip of the tests installs into it: copying pip would take longer than the installation.
    venv.create(folder, with_pip=False)
    here = Environment(folder / "bin", tmp_path)
    package = str(getattr(built, kind))
    pip = (sys.executable, "-m", "pip", "--python", str(here.bin / "python"))
    done = _run(*pip, "install", "--quiet", "--no-compile", package)
    assert done.returncode == 0, done.stdout + done.stderr

    assert here.run("certless", "--version") == f"certless {__version__}\n"
    assert "run a gateway in front of an HTTP API" in here.run("certless", "--help")
    where = "from certless import Client; print(__import__('certless').__file__)"
    assert here.run("python", "-c", where).startswith(str(folder))
    assert "pip install 'certless[demo]'" in _run(str(here.bin / "certless"), "demo").stderr

    serve = ("--upstream", "http://127.0.0.1:9", "--any-address", "--mail", "console:")
    with here.serving(*serve) as url:
        with urllib.request.urlopen(f"{url}/.gateway/client.js", timeout=30) as response:  # noqa: S310
            script = response.read()
    assert script.startswith((ROOT / "gateway" / "bundle" / "client.js").read_bytes())
    assert b"certless.start(" in script
