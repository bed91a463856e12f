"""The data path of ``tmpenv proxy``: the proxy, on routes that it is told."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from proxy.channel import Message
from proxy.edge import Explain
from proxy.listener import Proxy
from proxy.locations import Location, read_location
from proxy.prefix_router import PrefixOptions, PrefixRouter
from proxy.settings import ProxySettings
from proxy.workers import TELL_S
from web.certificate import CertificateFiles, renew
from web.data_path import Tell
from web.dialects.chp_errors import ErrorPages, error_session, plain_page
from web.logs import LogStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixesWork:
    """The data path, as it is given to a process."""

    proxy: ProxySettings
    prefixes: PrefixOptions
    routes: tuple[tuple[str, str], ...]  # prefix and target
    error_target: Location | None
    error_path: Path | None
    certificate: CertificateFiles | None
    log: LogStyle

    async def open(self, stack: AsyncExitStack, tell: Tell) -> "PrefixesPath":
        """Build the data path."""
        return PrefixesPath(self, tell, await self._explain(stack))

    async def _explain(self, stack: AsyncExitStack) -> Explain | None:
        if self.error_target is None and self.error_path is None:
            return None
        session = error_session(self.error_target, insecure=self.prefixes.insecure)
        await stack.enter_async_context(session)
        return ErrorPages(path=self.error_path, target=self.error_target, session=session).explain


class PrefixesPath:
    """The data path of one process."""

    def __init__(self, work: PrefixesWork, tell: Tell, explain: Explain | None) -> None:
        """Bind everything; nothing runs yet."""
        self._tell = tell
        self._router = PrefixRouter(work.proxy, work.prefixes)
        for prefix, target in work.routes:
            self._router.put(prefix, read_location(target))
        self.certificate = work.certificate.read() if work.certificate else None
        self.proxy = Proxy(
            router=self._router, settings=work.proxy, page=plain_page, explain=explain
        )
        self.duties = (self._tell_now_and_then,)

    async def hear(self, message: Message) -> None:
        """Put or remove a route, renew the certificate, or tell what was used."""
        match message["do"]:
            case "put":
                self._router.put(message["prefix"], read_location(message["target"]))
            case "remove":
                self._router.remove(message["prefix"])
            case "renew" if self.certificate is not None:
                renew(self.certificate)
            case "tell":
                self._tell_used()

    async def _tell_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self._tell_used()

    def _tell_used(self) -> None:
        now = time.monotonic()
        used = self._router.take_activity().items()
        if used:
            self._tell(used={prefix: max(0.0, now - moment) for prefix, moment in used})
