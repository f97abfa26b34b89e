"""``certless serve``: the gateway as a service, in one process or several."""

import argparse
import logging
from contextlib import ExitStack

from gateway.config.options import default_of
from gateway.mail.smtp import SmtpTransport
from gateway.mail.url import transport_from_url
from gateway.policy.suites import CLASSIC

from .listener import Make, listening, set_up_log
from .options import application, host_and_port, service_options
from .signals import hold_reloads, notify_ready, on_reload_signal, stop_signal

_log = logging.getLogger("certless")

CLASSIC_WARNING = (
    "classic hides content from eavesdroppers, but does not detect changed messages or pages, "
    "and a stolen key opens its whole session (PROTOCOL §4)"
)


async def serve(
    arguments: argparse.Namespace, make: Make = application, behind: str | None = None
) -> int:
    """Serve until a stop signal; return the exit status. Raises: ConfigError, StoreUnavailable.

    ``make`` makes the application, in one process; ``behind`` says what is behind the gateway, if
    it is not the upstream.
    """
    hold_reloads()
    # Handle stop signals from now on, also during the start.
    on_second_signal = ExitStack()
    stop = stop_signal(on_second_signal.close)
    options = service_options(arguments)
    count = options.pop("workers")
    listen = host_and_port(options.pop("listen"))
    mail, suites = options.get("mail", ""), options["suites"]
    upstream = behind or options.get("upstream")
    set_up_log()
    if count == 1 or make is not application:
        count = 1
        serving = listening(options, *listen, make=make)
    else:
        from .supervisor import workers  # noqa: PLC0415 (for a quick start of one process)

        serving = workers(options, *listen, count)
    async with serving as service:
        on_second_signal.callback(service.abandon)
        on_reload_signal(service.reload)
        notify_ready()
        if CLASSIC in suites:
            _log.warning(CLASSIC_WARNING)
        await _try_smtp(mail)
        by = "" if count == 1 else f" by {count} workers"
        for address in service.addresses:
            _log.info("serving http://%s in front of %s%s", address, upstream, by)
        await stop.wait()
        _log.info("stopping")
    return 0


async def _try_smtp(mail: str) -> None:
    """Warn early if the mail server does not answer; logins work and mails wait meanwhile."""
    transport = transport_from_url(mail, default_of("mail_from"))
    if isinstance(transport, SmtpTransport) and not await transport.answers():
        _log.warning(
            "SMTP server %s does not answer; mails wait until it does: is --mail right?",
            transport.server,
        )
