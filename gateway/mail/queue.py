"""Sends mails in the background, so that no login waits for a mail server.

The gateway answers a login before it writes the mail. It then tries each address separately, until
a try succeeds or the code has expired.
"""

import asyncio
import contextlib
import logging
from functools import partial

from gateway.errors import MailNotSent, MailOutcomeUnknown
from gateway.events import CodeMaybeSent, CodeNotSent, CodeSent, Events

from .message import CodeMail
from .transports import MailTransport

# By then the response to the login has been sent, with or without a mail.
_FIRST_TRY_S = 0.05
_RETRY_S = (1, 2, 5, 10, 30, 60)
# A process that ends waits this long for the first try of its mails.
_FINISH_S = 5
# Connections to the mail server at the same time; one can take minutes. Most servers allow 50
# from one host.
_CHANNELS = 32
_log = logging.getLogger("certless")


class MailQueue:
    """Gives mails to a MailTransport in the background, and retries until they expire."""

    def __init__(self, transport: MailTransport, events: Events | None = None) -> None:
        self._transport = transport
        self._events = events or Events()
        self._closing = False
        self._channels = asyncio.Semaphore(_CHANNELS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._untried: set[asyncio.Event] = set()

    def send(self, addresses: tuple[str, ...], mail: CodeMail, user_tag: bytes) -> None:
        """Returns at once. Each address is tried separately."""
        for address in addresses:
            tried = asyncio.Event()
            task = asyncio.create_task(self._deliver_until_expired(address, mail, user_tag, tried))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(partial(self._mark_tried, tried))
            self._untried.add(tried)

    def _mark_tried(self, tried: asyncio.Event, _: object = None) -> None:
        tried.set()
        self._untried.discard(tried)

    async def _deliver_until_expired(
        self, address: str, mail: CodeMail, user_tag: bytes, tried: asyncio.Event
    ) -> None:
        clock = asyncio.get_running_loop().time
        expires_s = clock() + mail.minutes * 60
        await asyncio.sleep(_FIRST_TRY_S)
        tries = 0
        # A library can swallow a cancellation or timeout (asyncio.wait_for in Python 3.11 does if a
        # response arrives at the same time), so each round checks again.
        while not self._closing and clock() < expires_s:
            try:
                async with asyncio.timeout(expires_s - clock()):
                    async with self._channels:
                        if await self._try(address, mail, user_tag):
                            return
            except TimeoutError:
                _log.warning("mail not sent, giving up: its code has expired")
                self._events.emit(CodeNotSent(user_tag, True))
                return
            self._mark_tried(tried)
            delay_s = _RETRY_S[min(tries, len(_RETRY_S) - 1)]
            if not self._closing:
                await asyncio.sleep(min(delay_s, max(0.0, expires_s - clock())))
            tries += 1

    async def _try(self, address: str, mail: CodeMail, user_tag: bytes) -> bool:
        """Try once; whether no further try is needed."""
        try:
            await self._transport.deliver(address, mail)
        except MailNotSent as error:
            again = "giving up" if error.final else "will try again"
            _log.warning("mail not sent, %s: %s", again, error)
            self._events.emit(CodeNotSent(user_tag, error.final))
            return error.final
        except MailOutcomeUnknown as error:
            # If every response gets lost, retries would send the mail again until the code expires.
            _log.warning("mail may have been sent, it is not sent again: %s", error)
            self._events.emit(CodeMaybeSent(user_tag))
            return True
        except Exception as error:  # a MailTransport of an application can raise anything
            _log.warning("mail not sent, will try again: %s", type(error).__name__)
            self._events.emit(CodeNotSent(user_tag, False))
            return False
        self._events.emit(CodeSent(user_tag))
        return True

    async def finish(self) -> None:
        """Wait until every mail was tried once, at most 5 seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                while self._untried:
                    await next(iter(self._untried)).wait()

    async def close(self) -> None:
        """Stop trying."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.close()
