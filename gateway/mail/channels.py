"""Sends each code by the channel of its address: mail, or another kind like ``sms:+46…``."""

from collections.abc import Mapping

from gateway.errors import ConfigError, MailNotSent
from gateway.users.addresses import KIND, kind_of

from .message import CodeMail
from .transports import MailTransport
from .url import webhook_from_url


class Channels(MailTransport):
    """A MailTransport for each kind of address; "" is mail."""

    def __init__(self, transports: Mapping[str, MailTransport]) -> None:
        self._transports = dict(transports)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of addresses that can get codes."""
        return frozenset(self._transports)

    async def deliver(self, address: str, mail: CodeMail) -> None:
        kind, rest = kind_of(address)
        transport = self._transports.get(kind)
        if transport is None:
            raise MailNotSent(f"there is no channel {kind!r}: set --channel", final=True)
        await transport.deliver(rest, mail)

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()


def channels_from(
    mail: MailTransport, urls: Mapping[str, str], *, any_address: bool = False
) -> Channels:
    """``mail``, and a webhook for each other kind in ``urls``. Raises: ConfigError.

    With ``any_address`` no other kind is possible, because anyone could then ask for messages that
    the operator pays for.
    """
    if urls and any_address:
        raise ConfigError("channels need users in a file: with any_address codes go by mail only")
    transports = {"": mail}
    for kind, url in urls.items():
        if not KIND.fullmatch(kind):
            raise ConfigError(f"channel {kind!r}: a kind is small letters and digits, like sms")
        transports[kind] = webhook_from_url(url, f"channel {kind}")
    return Channels(transports)
