"""Refuses to build a package without the browser client. setup.cfg has everything else."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

_BUILT = ("client.js", "vault.js", "issuing.js", "LICENSES.txt")


def _require_bundle() -> None:
    folder = Path(__file__).parent / "gateway" / "bundle"
    missing = [name for name in _BUILT if not (folder / name).is_file()]
    if missing:
        raise SystemExit(f"gateway/bundle/{missing[0]} is missing: run `make bundle`, then build")


class BuildPy(build_py):
    """Copies the modules. An editable installation needs no bundle."""

    def run(self) -> None:
        if not self.editable_mode:
            _require_bundle()
        super().run()


class Sdist(sdist):
    """Packs the sources."""

    def run(self) -> None:
        _require_bundle()
        super().run()


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
