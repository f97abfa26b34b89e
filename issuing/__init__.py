"""Certificates whose private key no server has: a page that makes the key, and a signer.

``issuing.setup(app, signer=...)`` adds the signer to an aiohttp application behind
``certless.setup``. ``issuing.AuthorityForTests`` and ``issuing.CommandSigner`` are signers.
"""

from .authority import AuthorityForTests as AuthorityForTests
from .command import CommandSigner as CommandSigner
from .errors import NotSigned as NotSigned
from .requests import CertificateRequest as CertificateRequest
from .setup import Signer as Signer
from .setup import setup as setup
