"""``make docs`` builds a page for each public module, with every public name in it."""

import importlib.util
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from processes import ROOT

import protocol

SCRIPT = ROOT / "docs" / "api_reference.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, reference: ModuleType) -> Path:
    # In a process of its own, because it fills the namespace of certless.
    folder = tmp_path_factory.mktemp("reference")
    command: list[str | Path] = [sys.executable, SCRIPT, folder]
    built = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=90
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder


def anchors(pages: Path, module: str) -> set[str]:
    text = (pages / f"{module.replace('.', '/')}.html").read_text()
    return set(re.findall(r'id="([\w.]+)"', text))


def test_every_public_name_is_in_the_reference(pages: Path, reference: ModuleType) -> None:
    for module in reference.MODULES:
        names = set(reference.public_names(module))
        assert names
        assert names <= anchors(pages, module), module


def test_every_module_of_protocol_is_in_the_reference(pages: Path, reference: ModuleType) -> None:
    for found in pkgutil.walk_packages(protocol.__path__, "protocol."):
        names = {
            name
            for name, value in vars(import_module(found.name)).items()
            if isinstance(value, type) and value.__module__ == found.name and name[0] != "_"
        }
        assert names <= anchors(pages, found.name), found.name


def test_the_folder_is_not_in_the_repository(reference: ModuleType) -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert f"{reference.FOLDER.relative_to(ROOT).parts[0]}/" in ignored
