"""``certless serve``: the reverse proxy as a service, in one process or in many."""

import argparse
import logging
from contextlib import ExitStack

from gateway.config.options import default_of
from gateway.mail.smtp import SmtpTransport
from gateway.mail.url import transport_from_url
from gateway.policy.suites import CLASSIC

from .listener import listening, set_up_log
from .options import host_and_port, service_options
from .signals import hold_reloads, tell_ready, told_to_stop, when_told_to_reload
from .supervisor import workers

_log = logging.getLogger("certless")

CLASSIC_WARNING = (
    "classic hides content from those who listen; it cannot show that a message was changed, "
    "nor that a page was, and a session's stolen key opens the whole session (PROTOCOL §10)"
)


async def serve(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; the exit status. Raises: ConfigError, StoreUnavailable."""
    hold_reloads()
    # From now on, so that one who is told while it starts ends as any other does.
    abandoning = ExitStack()
    stop = told_to_stop(abandoning.close)
    options = service_options(arguments)
    count = options.pop("workers")
    place = host_and_port(options.pop("listen"))
    mail, upstream, suites = options.get("mail", ""), options.get("upstream"), options["suites"]
    set_up_log()
    serving = listening(options, *place) if count == 1 else workers(options, *place, count)
    async with serving as service:
        abandoning.callback(service.abandon)
        when_told_to_reload(service.reload)
        tell_ready()
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
    """Say early that a mail server does not answer; logins are served and mails kept meanwhile."""
    transport = transport_from_url(mail, default_of("mail_from"))
    if isinstance(transport, SmtpTransport) and not await transport.answers():
        _log.warning(
            "SMTP server %s does not answer: codes wait until it does; is --mail right?",
            transport.server,
        )
