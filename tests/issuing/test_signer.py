"""The signer behind a real gateway: the test CA, refused requests, and other sessions."""

import asyncio
import base64
import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from gateways import InProcess, Raw, running
from signing_requests import NAMES, key_usage, new_key, request_for

import issuing
from certless import Client
from issuing.errors import Malformed
from issuing.requests import MAX_REQUEST_BYTES, parse_request

REQUIRE = {"/issuing/*": "ecdh-gcm"}


def application(signer: issuing.Signer) -> web.Application:
    app = web.Application()
    issuing.setup(app, signer=signer)
    return app


async def ask(at: InProcess, body: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to a request of Ann."""
    async with Client(at.url, clock=at.clock) as client:
        await client.login("ann@example.org", code=at.mails.code)
        response = await client.request("POST", "/issuing/certificate", data=body)
        return response.status, await response.read()


async def test_openssl_verifies_the_certificate_of_the_test_ca(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = issuing.AuthorityForTests()
    key = new_key()
    request = request_for(
        key,
        x509.SubjectAlternativeName(NAMES),
        key_usage(key_cert_sign=False),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    with caplog.at_level(logging.INFO, "certless.issuing"):
        async with running(application(authority), require=REQUIRE) as at:
            status, chain = await ask(at, request)
            async with Client(at.url, clock=at.clock) as client:
                await client.login("bob@example.org", code=at.mails.code)
                signer = await (await client.request("GET", "/issuing/signer")).json()
    assert status == 200
    assert signer == {"is_for_tests": True}
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "leaf.pem").write_bytes(chain)
    verify = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "-purpose", "sslserver"]
    ran = await asyncio.to_thread(
        subprocess.run,
        [*verify, "-verify_hostname", "ann.example", "leaf.pem"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "leaf.pem: OK\n", ran.stderr
    leaf = x509.load_pem_x509_certificates(chain)[0]
    assert leaf.public_key() == key.public_key()
    assert leaf.issuer.rfc4514_string() == "CN=Certless test CA: do not trust"
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert "ann" not in caplog.text
    assert f"serial {leaf.serial_number:x}" in caplog.text
    assert "no program may trust it" in caplog.text


async def test_names_without_a_subject_are_critical() -> None:
    authority = issuing.AuthorityForTests()
    asked = parse_request(request_for(new_key(), subject=""))
    leaf = x509.load_pem_x509_certificates(await authority.sign(asked, "ann"))[0]
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_rsa_3072_is_accepted() -> None:
    key = rsa.generate_private_key(65537, 3072)
    assert parse_request(request_for(key)).kind == "RSA-3072"


def flipped(request: bytes) -> bytes:
    """The request with another signature."""
    parsed = x509.load_pem_x509_csr(request)
    other = x509.load_pem_x509_csr(request_for(new_key()))
    der = parsed.public_bytes(Encoding.DER)
    changed = der.replace(parsed.signature[-16:], other.signature[-16:])
    assert changed != der
    return b"".join(
        (
            b"-----BEGIN CERTIFICATE REQUEST-----\n",
            base64.encodebytes(changed),
            b"-----END CERTIFICATE REQUEST-----\n",
        )
    )


REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no PEM": lambda: b"certificate, please",
    "too long": lambda: b"x" * (MAX_REQUEST_BYTES + 1),
    "a foreign signature": lambda: flipped(request_for(new_key())),
    "P-384": lambda: request_for(ec.generate_private_key(ec.SECP384R1())),
    "RSA-2048": lambda: request_for(rsa.generate_private_key(65537, 2048)),
    "RSA with exponent 3": lambda: request_for(rsa.generate_private_key(3, 3072)),
    "an authority": lambda: request_for(
        new_key(), x509.BasicConstraints(ca=True, path_length=None)
    ),
    "signing certificates": lambda: request_for(new_key(), key_usage(key_cert_sign=True)),
    "code signing": lambda: request_for(
        new_key(), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    ),
    "a name of another kind": lambda: request_for(
        new_key(), x509.SubjectAlternativeName([x509.UniformResourceIdentifier("http://a")])
    ),
    "an unknown extension": lambda: request_for(
        new_key(), x509.UnrecognizedExtension(ObjectIdentifier("1.2.3"), b"\x05\x00")
    ),
    "many names": lambda: request_for(
        new_key(), x509.SubjectAlternativeName([x509.DNSName(f"{n}.example") for n in range(101)])
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_refused(name: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_request(REFUSED[name]())
    assert "example" not in str(refused.value)


async def test_a_refusal_on_the_wire() -> None:
    async with running(application(issuing.AuthorityForTests()), require=REQUIRE) as at:
        for body in (b"x", b"x" * (MAX_REQUEST_BYTES + 1)):
            status, answer = await ask(at, body)
            assert (status, json.loads(answer)["error"]) == (400, "malformed")


async def test_a_classic_session_gets_no_certificate() -> None:
    # Also if the operator forgot ``require``.
    app = application(issuing.AuthorityForTests())
    async with running(app, suites=("ecdh-gcm", "classic")) as at:
        raw = await Raw.login(at, "ann@example.org")
        for method, path in (("POST", "certificate"), ("GET", "signer")):
            response = await raw.call(method, f"/issuing/{path}")
            assert response.status == 403
            assert json.loads(response.body)["error"] == "suite_required"
