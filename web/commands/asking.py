"""How a command asks a running tmpenv, and the flags that say which one.

A command that does is written as a function of a :class:`Tmpenv`;
:func:`asking` gives it the flags, and makes of them the tmpenv that is meant.
"""

import functools
import inspect
import shlex
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from web.commands.options import ApiKey, Config, Instance, Server, StateDir, Trusted
from web.config import Settings
from web.config_sources import load
from web.start_errors import AskedWrongly, told_in_one_line

if TYPE_CHECKING:
    from web.client import Client

#: For the help of every command that asks a running tmpenv.
EPILOG = (
    "\b\nThe API key is --api-key, else TMPENV_API_KEY, else what the file that"
    "\nTMPENV_API_KEY_FILE names holds, else what tmpenv on this machine keeps in its"
    "\nstate directory."
    "\n\n\b\nExit codes: 0 done; 1 cannot be done now, no answer among it; 2 asked wrongly;"
    "\n3 the build, or the start of an environment, was tried and failed."
)
#: The flags that say which tmpenv is meant.
FLAGS = {
    "config": Config,
    "server": Server,
    "api_key": ApiKey,
    "state_dir": StateDir,
    "instance": Instance,
    "ssl_cert": Trusted,
}


class Tmpenv:
    """A running tmpenv, asked with the operator's key."""

    def __init__(self, settings: Settings, server: str | None = None) -> None:
        """Mean the one at ``server``, or else the one that these settings are of."""
        self._settings = settings
        self._server = server

    @classmethod
    def meant_by(
        cls, config: Path | None = None, server: str | None = None, **flags: str | Path | None
    ) -> "Tmpenv":
        """Give the one that flags, variables and file together mean."""
        return cls(load(flags=flags, config=config), server)

    def ask(self, method: str, path: str, *, body: object = None) -> dict[str, Any]:
        """Make one call, with ``body`` as JSON, and give its JSON.

        Raises:
            StartError: No answer, or one that refuses; the text says what to do.
        """
        answer: dict[str, Any] = self.client.ask(method, path, body=body)
        return answer

    def listen(self, path: str, take: Callable[[bytes], None]) -> None:
        """Make one call, and give ``take`` its text as it comes.

        Raises:
            StartError: No answer, one that refuses, or one that broke off.
        """
        self.client.http.listen(path, take)

    @property
    def client(self) -> "Client":
        """What asks it for all that there is."""
        # Imported here, so that the help of commands need not load aiohttp.
        from web.client import Client  # noqa: PLC0415

        place, key, trusted = self._place()
        return Client(place, key, trusted=trusted)

    def hint(self, *words: str) -> str:
        """Write a command that asks the same tmpenv, to be copied."""
        server = ["--server", self._server] if self._server else []
        return shlex.join(["tmpenv", *words, *server])

    def _place(self) -> tuple[str, str, Path | None]:
        """Give its address, the key, and a certificate that is believed besides the system's."""
        from web.key_files import API_KEY, read_key  # noqa: PLC0415  # loads what ask() does

        settings = self._settings
        own = settings.api_key
        key = own.get_secret_value() if own else read_key(settings.state / API_KEY)
        scheme = "https" if settings.is_secure else "http"
        here = f"{scheme}://127.0.0.1:{settings.port}{settings.base_url}"
        return self._server or here, key, settings.ssl_cert


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function whose first argument is the tmpenv that it asks.

    What goes wrong is told in one line.
    """
    own = inspect.signature(command)
    _, *parameters = own.parameters.values()
    flags = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=flag)
        for name, flag in FLAGS.items()
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        with told_in_one_line():
            meant = {name: given.pop(name) for name in FLAGS}
            command(Tmpenv.meant_by(**meant), **given)

    run.__signature__ = own.replace(parameters=[*parameters, *flags])  # type: ignore[attr-defined]
    return run


def check_id(environment_id: str) -> None:
    """Refuse what cannot be the id of an environment.

    Raises:
        AskedWrongly: It is none.
    """
    if not (environment_id.isascii() and environment_id.isalnum()):
        raise AskedWrongly(f'"{environment_id}" is no id of an environment; see tmpenv status')
