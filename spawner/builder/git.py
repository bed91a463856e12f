"""Run git so that it does what it is told and nothing that a repository could tell it.

By argument vector alone, with ``--`` before what others wrote; without the settings of
the machine or of its user, without prompts and hooks; over the transports that are named
and no others. Whoever gives up waiting ends git with all that it started.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spawner.builder.credentials import Login
from spawner.builder.hosts import Place
from spawner.errors import SourceUnavailable

#: More than this of what git prints is not kept.
_KEPT = 64 << 10
_INHERITED = ("PATH", "LD_LIBRARY_PATH")
#: What git prints of its own progress, over and over on one line.
_PROGRESS = re.compile(r"(?:remote: )?(?:[A-Z][a-z]+ )+(?:objects|deltas|files|with).*\d+%")


@dataclass(frozen=True, slots=True)
class Done:
    """How a run of git ended."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """How git is run for one repository."""

    #: A directory without settings, for git to call home.
    home: Path
    place: Place | None = None
    login: Login | None = None
    #: Further settings, which may be secret: they go by its environment.
    settings: Mapping[str, str] = field(default_factory=dict)

    async def run(
        self, *arguments: str, cwd: Path | None = None, tell: Callable[[str], None] | None = None
    ) -> Done:
        """Run git to its end; being cancelled ends it, with all that it started.

        Raises:
            SourceUnavailable: There is no git on this machine.
        """
        command = shutil.which("git")
        if command is None:
            raise SourceUnavailable("git is not installed where tmpenv runs.")
        process = await asyncio.create_subprocess_exec(
            *(command, *arguments),
            cwd=cwd or self.home,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            output, errors = await asyncio.gather(
                _read(process.stdout, None), _read(process.stderr, tell)
            )
            return Done(await process.wait(), output, errors)
        finally:
            # Its helpers may outlive it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())

    def _environment(self) -> dict[str, str]:
        settings = {
            "core.hooksPath": os.devnull,
            "core.fsmonitor": "false",
            "core.askPass": "true",
            "credential.helper": "",
            "http.followRedirects": "false",
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": "60",
            "protocol.version": "2",
            "submodule.recurse": "false",
            "transfer.fsckObjects": "false",
            "gc.auto": "0",
            "advice.detachedHead": "false",
            **self.settings,
        }
        variables: dict[str, str] = {}
        if self.place is not None and self.place.pin:
            settings["http.curloptResolve"] = self.place.pin
        if self.login is not None:
            settings |= self.login.configuration()
            variables |= self.login.variables()
        for number, (name, value) in enumerate(settings.items()):
            variables[f"GIT_CONFIG_KEY_{number}"] = name
            variables[f"GIT_CONFIG_VALUE_{number}"] = value
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            **variables,
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "https:http" if _is_plain(self.place) else "https",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
        }


def _is_plain(place: Place | None) -> bool:
    """Say whether a place was judged to be asked without TLS."""
    return place is not None and place.is_plain


async def _read(stream: asyncio.StreamReader, tell: Callable[[str], None] | None) -> str:
    """Read to the end; keep the beginning, and tell whole lines that are no progress."""
    kept: list[bytes] = []
    size = 0
    pending = b""
    while chunk := await stream.read(1 << 14):
        if size < _KEPT:
            kept.append(chunk)
            size += len(chunk)
        if tell is not None:
            *lines, pending = (pending + chunk)[-_KEPT:].replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").strip()
                if text and not _PROGRESS.match(text):
                    tell(text)
    return b"".join(kept).decode(errors="replace")
