"""A page for the vault, to serve as it is or to copy: HTML, a style sheet, two scripts and an icon.

The page also loads ``look.css`` of the gateway's own pages. The gateway serves the clients that it
uses. docs/vault.md says how to serve it.
"""

from pathlib import Path

_HERE = Path(__file__).parent
PAGE = _HERE / "vault.html"
_NAMES = ("vaultPage.css", "vaultPage.js", "vaultPageFiles.js", "vaultPage.svg")
FILES = tuple(_HERE / name for name in _NAMES)
# Directives that the page needs besides "default-src 'none'; style-src 'self'; connect-src 'self'":
# the clients run in Workers, which are blobs. Without WebAssembly, Argon2id is slower.
SOURCES = {"script_src": "'self' 'wasm-unsafe-eval'", "worker_src": "blob:"}
