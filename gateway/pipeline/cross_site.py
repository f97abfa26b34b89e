"""Pages of other sites, which could have their visitors' browsers ask for mails.

What a page may send to another site unasked has a type that a form could have sent, and carries
the page's Origin. JSON and msgpack are no such types: a browser asks with OPTIONS before it sends
them, and a gateway does not say yes. So they are not looked at, and behind a proxy that changes
Host there is nothing to be set.
"""

from protocol.common.envelopes import CONTENT_TYPES

from .outer import OuterRequest


def is_cross_site(request: OuterRequest) -> bool:
    """Whether ``request`` may have been sent by a page that is not of this site."""
    origin = request.headers.get("Origin")
    if origin is None or request.content_type in CONTENT_TYPES:
        return False
    return origin.partition("://")[2].lower() != request.headers.get("Host", "").lower()
