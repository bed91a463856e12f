"""A client of a running tmpenv: build, register, launch, and keep pools.

The command line is written with it, and so can any other program be::

    client = Client("https://notebooks.example.org", api_key)
    build = client.build("https://github.com/org/repo")
    for told in client.follow_build(build.name):
        print(told)  # entries of the log, and last the build as it ended
    print(client.until_ready(client.launch(build.name)).location)

Its calls wait for their answer. What goes wrong is a :class:`~web.start_errors.StartError`:
``NoAnswer`` or ``Refused``, and ``Failed`` for what was tried and did not succeed. The
text tells a person what to do; ``exit_code`` is what a script would be told.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

from web.client_answers import Application, Build, Document, LogEntry, Pool, Template
from web.client_http import Http, NoAnswer, Refused
from web.start_errors import StartError

#: How long a server that has answered may be away: that of a restart, and more.
PATIENCE_S = 60.0
_POLL_S = 0.5
#: Refusals of a moment: too many at once, or a server that comes up or goes.
_PASSING = (429, 502, 503, 504)


class Failed(StartError):
    """What was asked for was tried, and failed: a build, or the start of an environment."""

    exit_code = 3


class Client:
    """One running tmpenv, asked with one key."""

    def __init__(self, server: str, api_key: str = "", *, trusted: Path | None = None) -> None:
        """Mean the tmpenv at ``server``; ``trusted`` is a certificate that is believed as well."""
        self.http = Http(server, api_key, trusted)

    def build(
        self,
        repository: str,
        *,
        ref: str = "",
        dependencies: Sequence[str] = (),
        force: bool = False,
    ) -> Build:
        """Start to build an image from a repository, or join the build that is there."""
        body: Document = {"repository": repository, "force": force}
        body |= {"ref": ref} if ref else {}
        body |= {"dependencies": list(dependencies)} if dependencies else {}
        return Build.of(self.http.ask("POST", "/api/builds", body=body))

    def find_build(self, name: str) -> Build:
        """Give the latest build of an image."""
        return Build.of(self.http.ask("GET", f"/api/builds/{_part(name)}"))

    def cancel_build(self, name: str) -> bool:
        """End the build of an image; say whether one ran. One that is over stays."""
        if self.find_build(name).is_over:
            return False
        answer = self.http.ask("DELETE", f"/api/builds/{_part(name)}")
        return bool(answer["cancelled"])

    def build_log(self, name: str) -> Iterator[LogEntry | Build]:
        """Give what the log of a build holds by now, and then the build."""
        yield from self._told(name, "", follow=False)

    def follow_build(
        self, name: str, *, cut_off: Callable[[], None] = lambda: None
    ) -> Iterator[LogEntry | Build]:
        """Give the log of a build as it comes, each line once, and last what came of it.

        Goes on where it was cut off, by a restart of the server for instance, and calls
        ``cut_off`` then.
        """
        patience, last = _Patience(), ""
        while True:
            try:
                for told in self._told(name, last, follow=True):
                    patience.answered()
                    yield told
                    if isinstance(told, Build):
                        return
                    last = told.id
                broken: StartError = NoAnswer("the log broke off; the build may go on: ask again")
            except (NoAnswer, Refused) as error:
                broken = error
            if patience.is_fresh:
                cut_off()
            patience.wait_after(broken)

    def _told(self, name: str, after: str, *, follow: bool) -> Iterator[LogEntry | Build]:
        path = f"/api/builds/{_part(name)}/logs?follow={int(follow)}"
        for event in self.http.events(path, after):
            document = json.loads(event.data)
            yield Build.of(document) if event.name == "end" else LogEntry.of(document)

    def register(self, image: str, **fields: object) -> Template:
        """Register an image as a template.

        ``fields`` are those of the Binder API's template, with underscores for dashes;
        None is not sent.
        """
        given = {key.replace("_", "-"): one for key, one in fields.items() if one is not None}
        body = {"image-name": image, **given}
        return Template.of(self.http.ask("POST", "/api/templates", body=body))

    def templates(self, *, timeout_s: float = 30.0) -> list[Template]:
        """Give all templates."""
        answer = self.http.ask("GET", "/api/templates", timeout_s=timeout_s)
        return [Template.of(one) for one in answer]

    def launch(self, template: str) -> Application:
        """Launch a template; what comes back may have a location only later."""
        return self._application(
            self.http.ask("POST", f"/api/applications/{_part(template)}", body={})
        )

    def application(self, template: str, application_id: str) -> Application:
        """Give how an application goes; asking keeps a launch that waits from being given up."""
        return self._application(self.http.ask("GET", _application_path(template, application_id)))

    def until_ready(
        self, application: Application, seen: Callable[[Application], None] = lambda _: None
    ) -> Application:
        """Wait until an application has a location; ``seen`` is told how it goes meanwhile.

        Raises:
            Failed: It did not start, or has ended.
        """
        patience = _Patience()
        patience.answered()
        while not application.location:
            if application.status in ("failed", "deleted"):
                reason = application.error or f"it is {application.status}"
                raise Failed(f"{application.template} did not start: {reason}")
            seen(application)
            time.sleep(_POLL_S)
            try:
                application = self.application(application.template, application.id)
                patience.answered()
            except (NoAnswer, Refused) as error:
                patience.wait_after(error)
        return application

    def applications(self, *, ended: bool = False) -> list[Application]:
        """Give those that wait or run, and with ``ended`` those that ended within a day."""
        answer = self.http.ask("GET", f"/api/applications{'?all=1' if ended else ''}")
        return [self._application(one) for one in answer]

    def stop(self, application: Application) -> Application:
        """End an application."""
        path = _application_path(application.template, application.id)
        return self._application(self.http.ask("DELETE", path))

    def _application(self, document: Document) -> Application:
        # A path of the server, or already a full address.
        location = document.get("location") or ""
        return Application(
            id=document["id"],
            template=document["template-name"],
            status=document["status"],
            location=urljoin(f"{self.http.server}/", location) if location else "",
            error=document.get("error") or "",
            document=document,
        )

    def pools(self) -> list[Pool]:
        """Give all pools."""
        return [Pool.of(one) for one in self.http.ask("GET", "/api/pools")]

    def set_pool(self, template: str, size: int) -> Pool:
        """Make a pool of a template, or resize the one that there is; 0 hands out nothing."""
        return Pool.of(self.http.ask("POST", f"/api/pools/{_part(template)}", body={"size": size}))

    def remove_pool(self, template: str) -> None:
        """Remove a pool: its spares end, and launching starts anew."""
        self.http.ask("DELETE", f"/api/pools/{_part(template)}")

    def ask(self, method: str, path: str, *, body: object = None) -> Any:
        """Make any other call, with ``body`` as JSON, and give its JSON."""
        return self.http.ask(method, path, body=body)


class _Patience:
    """Bears with a server that has answered and is away for a moment."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._has_begun = False

    @property
    def is_fresh(self) -> bool:
        """Whether the server answered until now."""
        return self._has_begun and self._since is None

    def answered(self) -> None:
        self._has_begun, self._since = True, None

    def wait_after(self, error: StartError) -> None:
        """Wait a moment.

        Raises:
            StartError: The error, if asking again would change nothing or was done for long.
        """
        is_passing = not isinstance(error, Refused) or error.status in _PASSING
        now = time.monotonic()
        if self._since is None:
            self._since = now
        # Who named a wrong address is not to wait for it.
        if not self._has_begun or not is_passing or now - self._since > PATIENCE_S:
            raise error
        time.sleep(_POLL_S)


def _part(name: str) -> str:
    return quote(name, safe="")


def _application_path(template: str, application_id: str) -> str:
    return f"/api/applications/{_part(template)}/{_part(application_id)}"
