"""A page that makes a key and gets its certificate, to serve as it is or to copy.

It needs ``look.css`` of the gateway's own pages. The gateway serves the clients that it uses.
"""

from pathlib import Path

_HERE = Path(__file__).parent
PAGE = _HERE / "issuing.html"
FILES = (_HERE / "issuingPage.css", _HERE / "issuingPage.js", _HERE / "issuingPage.svg")
# A directive that the page needs besides those of the vault's page: the clients run in Workers.
SOURCES = {"worker_src": "blob:"}
