"""``issuing.setup``: the signer's routes in an aiohttp application behind the gateway."""

import logging
from typing import Protocol

from aiohttp import web

import certless

from .errors import IssuingError, Malformed, NotSigned, SuiteRequired
from .requests import MAX_REQUEST_BYTES, CertificateRequest, certificate_for, parse_request

DEFAULT_PREFIX = "/issuing"
_log = logging.getLogger("certless.issuing")


class Signer(Protocol):
    """Gives certificates for requests."""

    is_for_tests: bool

    async def sign(self, request: CertificateRequest, user: str) -> bytes:
        """A certificate for ``request`` and its chain, in PEM. Raises: Busy; NotSigned."""


def setup(app: web.Application, *, signer: Signer, prefix: str = DEFAULT_PREFIX) -> None:
    """Add the signer to ``app``; call ``certless.setup`` for the same ``app`` as well.

    ``signer``  an ``AuthorityForTests``, a ``CommandSigner``, or your own

    Every path below ``prefix`` must demand a hardened suite:
    ``certless.setup(app, ..., require={"/issuing/*": "ecdh-gcm"})``. Other sessions are refused in
    any case.
    """
    if signer.is_for_tests:
        _log.warning("certificates come from a test CA: no program may trust it")

    async def show_signer(request: web.Request) -> web.Response:
        try:
            _session(request)
        except IssuingError as error:
            return _refusal(error)
        return web.json_response({"is_for_tests": signer.is_for_tests})

    async def sign(request: web.Request) -> web.Response:
        try:
            session = _session(request)
            if (request.content_length or 0) > MAX_REQUEST_BYTES:
                raise Malformed(f"a certificate request has at most {MAX_REQUEST_BYTES} bytes")
            chain = await _signed(signer, session, await request.read())
        except IssuingError as error:
            return _refusal(error)
        return web.Response(body=chain, content_type="application/pem-certificate-chain")

    app.router.add_get(prefix + "/signer", show_signer)
    app.router.add_post(prefix + "/certificate", sign)


async def _signed(signer: Signer, session: certless.Session, body: bytes) -> bytes:
    """Raises: IssuingError."""
    asked = parse_request(body)
    try:
        chain = await signer.sign(asked, session.user)
        certificate = certificate_for(asked, chain)
    except NotSigned as error:
        # The reason is for the operator. The client cannot change it.
        _log.warning("session %s: no certificate: %s", session.id, error)
        raise NotSigned("the signer gave no certificate: ask the operator") from None
    serial = certificate.serial_number
    _log.info("session %s: a certificate for %s, serial %x", session.id, asked.kind, serial)
    return chain


def _session(request: web.Request) -> certless.Session:
    """Raises: SuiteRequired."""
    session: certless.Session | None = request.get(certless.SESSION)
    # ``require`` of the gateway refuses such requests before. This holds without it as well.
    if session is None or session.strength != "hardened":
        raise SuiteRequired("certificates need a hardened suite: log in by ecdh-gcm or rsa-gcm")
    return session


def _refusal(error: IssuingError) -> web.Response:
    return web.json_response({"error": error.code, "message": str(error)}, status=error.status)
