"""The strength of codes against guessing (PROTOCOL §4.4)."""

from collections.abc import AsyncIterator

from gateway.policy.suites import CLASSIC, is_hardened
from gateway.stores import MAIL_WINDOW_MS
from protocol.common.codes import BITS_PER_CHAR, CODE_ATTEMPTS, HARDENED_CODE_CHARS

from . import Finding, Service, ok, warn

ABOUT = "codes"
_DAY_MS = 86_400_000
# If attackers guess at a thousand users all day, they find one code in about thirty years.
_MIN_DAYS = 10_000_000


async def check_codes(service: Service) -> AsyncIterator[Finding]:
    """The strength of the codes. The settings refuse codes that are too weak."""
    settings = service.settings
    if any(map(is_hardened, settings.suites)):
        bits = HARDENED_CODE_CHARS * BITS_PER_CHAR
        guesses = CODE_ATTEMPTS * settings.mail_limit * (_DAY_MS // MAIL_WINDOW_MS)
        days = 2**bits // guesses
        text = (
            f"hardened: {bits} bits, {CODE_ATTEMPTS} attempts, {settings.mail_limit} codes in "
            f"{MAIL_WINDOW_MS // 60_000} minutes: {guesses:,} guesses a day for one user, with "
            f"a chance of 1 in {days:,} that one is right"
        )
        if days < _MIN_DAYS:
            yield warn(ABOUT, f"{text}; lower mail_limit")
        else:
            yield ok(ABOUT, text)
    if CLASSIC in settings.suites:
        bits = settings.code_chars * BITS_PER_CHAR
        yield ok(
            ABOUT,
            f"classic: {bits} bits, too many to guess the code of a recorded login offline",
        )
