"""The PAC file of proxy mode. It is only best effort: without it, browsers do not use the proxy."""

import json
from collections.abc import Iterable

from aiohttp import web

from . import pages

# A name in the address, and a dot at the end of the host, lead to the same host.
_SCRIPT = r"""var sites = SITES;
function FindProxyForURL(url, host) {
  var found = /^(?:http|ws):\/\/(?:[^\/?#]*@)?([^\/?#]*)/.exec(url.toLowerCase());
  var at = found && found[1].replace(/:80$/, '').replace(/\.(?=:|$)/, '');
  return at && sites.indexOf(at) >= 0 ? 'PROXY OWN' : 'DIRECT';
}
"""


def pac_file(sites: Iterable[str], own: str) -> web.Response:
    """It sends ``sites``, as ``host`` or ``host:port``, to the proxy at ``own``."""
    names = json.dumps(sorted(sites))
    answer = pages.plain(200, _SCRIPT.replace("SITES", names).replace("OWN", own))
    answer.content_type = "application/x-ns-proxy-autoconfig"
    return answer
