"""Builds the API reference from the docstrings: ``make docs``, or this file with a folder.

Without a folder, the pages go to build/reference. Any warning of pdoc is an error.
"""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pdoc

import certless

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "reference"
# The public names of the server and the client, and what a program extends.
MODULES = [
    "certless",
    "certless.asgi",
    "certless.client",
    "gateway.events",
    "gateway.mail.transports",
    "gateway.stores",
    "gateway.users.directory",
]
# Their public names are in the pages of the package.
LEFT_OUT = ["!certless.client.", "!gateway.stores."]


def public_names(module: str) -> list[str]:
    """What a module promises: ``__all__``, or for certless what it loads when asked."""
    if module == "certless":
        return sorted(certless._HOME)
    found = import_module(module)
    return list(found.__all__) if hasattr(found, "__all__") else _defined(found)


def _defined(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", "") == module.__name__
    ]


def build(folder: Path) -> None:
    # pdoc reads the namespace of a module, so the lazy names must be loaded.
    for name in public_names("certless"):
        setattr(certless, name, getattr(certless, name))
    vars(certless)["__all__"] = public_names("certless")
    pdoc.render.configure(docformat="markdown", show_source=False, footer_text="Certless")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The alias is recursive; outside of its module pdoc shows the name instead.
        warnings.filterwarnings("ignore", ".*Import of Json(Value|Object) failed")
        pdoc.pdoc(*MODULES, "protocol", *LEFT_OUT, output_directory=folder)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    build(folder)
    sys.stdout.write(f"{folder / 'index.html'}\n")
