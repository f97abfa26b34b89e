"""The codes that a gateway under measurement mails to a folder."""

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from protocol.common.codes import Code
from protocol.common.typed_codes import read_code

_MAIL_S = 30


async def _next_mail(mails: Path) -> EmailMessage:
    """One mail, which is then removed."""
    async with asyncio.timeout(_MAIL_S):
        while True:
            for mail in await asyncio.to_thread(lambda: list(mails.glob("*.eml"))):
                content = await asyncio.to_thread(mail.read_bytes)
                await asyncio.to_thread(mail.unlink)
                return message_from_bytes(content, policy=default)
            await asyncio.sleep(0.05)


async def mailed_text(mails: Path) -> str:
    """The text of a mail: the client finds the code in it."""
    return str((await _next_mail(mails)).get_content())


async def mailed_code(mails: Path) -> tuple[str, str]:
    """The address of a mail, and the code in it."""
    mail = await _next_mail(mails)
    code = read_code(str(mail.get_content()))
    assert isinstance(code, Code)
    return str(mail["To"]), code.text
