"""How hard a code is to guess, in words (PROTOCOL §10, §15)."""

from collections.abc import AsyncIterator

from gateway.policy.suites import CLASSIC, is_hardened
from gateway.stores import MAIL_WINDOW_MS
from protocol.common.codes import BITS_PER_CHAR, CODE_ATTEMPTS, HARDENED_CODE_CHARS

from . import Finding, Service, ok, warn

ABOUT = "codes"
_DAY_MS = 86_400_000
# Of a thousand users who are guessed at all day, one is hit within some thirty years.
_MIN_DAYS = 10_000_000


async def check_codes(service: Service) -> AsyncIterator[Finding]:
    """Weaker codes are refused by the settings; this says what these are worth."""
    settings = service.settings
    if any(map(is_hardened, settings.suites)):
        bits = HARDENED_CODE_CHARS * BITS_PER_CHAR
        guesses = CODE_ATTEMPTS * settings.mail_limit * (_DAY_MS // MAIL_WINDOW_MS)
        days = 2**bits // guesses
        text = (
            f"hardened: {bits} bits, {CODE_ATTEMPTS} attempts, {settings.mail_limit} codes in "
            f"{MAIL_WINDOW_MS // 60_000} minutes: {guesses:,} guesses a day at one user, "
            f"one chance in {days:,} that any is right"
        )
        if days < _MIN_DAYS:
            yield warn(ABOUT, f"{text}; a lower mail_limit leaves fewer")
        else:
            yield ok(ABOUT, text)
    if CLASSIC in settings.suites:
        bits = settings.code_chars * BITS_PER_CHAR
        yield ok(
            ABOUT,
            f"classic: {bits} bits, so that a recorded login can be tried at home in vain",
        )
