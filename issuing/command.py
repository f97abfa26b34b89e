"""A signer that is a program: it reads a request from its input, and writes the certificate."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from .errors import Busy, NotSigned
from .requests import CertificateRequest

MAX_OUTPUT_BYTES = 64 * 1024
TIMEOUT_S = 30.0
_AT_ONCE = 4


class CommandSigner:
    """Runs ``command`` for each request, without a shell.

    The program gets the request in PEM on its input, and the name of the user in ``CERTLESS_USER``.
    Of the environment it gets only ``PATH``. It writes the certificate and its chain in PEM to its
    output, and ends with status 0. The program decides whether the user may have these names.
    A program that takes longer than ``timeout_s``, or writes more than 64 KiB, is killed with all
    processes of its group. At most ``at_once`` programs run at the same time.
    """

    is_for_tests = False

    def __init__(
        self, command: Sequence[str], *, timeout_s: float = TIMEOUT_S, at_once: int = _AT_ONCE
    ) -> None:
        if isinstance(command, str) or not command:
            raise ValueError("command must be a list: a program and its arguments")
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._free = at_once

    async def sign(self, request: CertificateRequest, user: str) -> bytes:
        """What the program wrote. Raises: Busy; NotSigned."""
        if not self._free:
            raise Busy("the signer has too many requests: try again later")
        self._free -= 1
        try:
            return await self._run(request.pem, user)
        finally:
            self._free += 1

    async def _run(self, request: bytes, user: str) -> bytes:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "CERTLESS_USER": user}
        pipe = asyncio.subprocess.PIPE
        try:
            program = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                limit=MAX_OUTPUT_BYTES,
            )
        except (OSError, ValueError) as error:
            raise NotSigned(f"the command does not start: {type(error).__name__}") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                output = await _exchanged(program, request)
                status = await program.wait()
        except TimeoutError:
            raise NotSigned(f"the command took longer than {self._timeout_s:g} s") from None
        finally:
            # Its children as well, also if it has ended.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            await program.wait()
        if status != 0:
            raise NotSigned(f"the command ended with status {status}")
        return output


async def _exchanged(program: asyncio.subprocess.Process, request: bytes) -> bytes:
    """Write the request, and read the output to its end. Raises: NotSigned."""
    assert program.stdin is not None  # noqa: S101 (both are pipes)
    assert program.stdout is not None  # noqa: S101
    # A program may end without having read the request.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        program.stdin.write(request)
        await program.stdin.drain()
    program.stdin.close()
    output = bytearray()
    while part := await program.stdout.read(MAX_OUTPUT_BYTES):
        output += part
        if len(output) > MAX_OUTPUT_BYTES:
            raise NotSigned(f"the command wrote more than {MAX_OUTPUT_BYTES} bytes")
    return bytes(output)
