"""Run a command that builds, line by line, and end it with whoever waits for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

_READ = 64 << 10
#: Longer lines are cut there: nobody reads them.
_LONGEST = 16 << 10
#: BuildKit is told that the build is given up; it needs no longer.
_ENDS_WITHIN_S = 5.0


async def run(
    command: Sequence[str], environ: Mapping[str, str], take: Callable[[str], None]
) -> int:
    """Run a command, hand on each line of its output, and give its exit code.

    Being cancelled ends it, by TERM and then by KILL, and returns when it is gone: the
    session with the daemon goes with it, and with that the build.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # an operator's Ctrl-C is for us
    )
    assert process.stdout
    try:
        async for line in _lines(process.stdout):
            take(line)
        return await process.wait()
    finally:
        if process.returncode is None:
            await _end(process)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    rest = b""
    while read := await stream.read(_READ):
        *whole, rest = (rest + read).split(b"\n")
        for line in whole:
            yield line[:_LONGEST].decode(errors="replace")
        rest = rest[:_LONGEST]
    if rest:
        yield rest.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:  # also where whoever waits is cancelled once more
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
