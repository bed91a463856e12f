"""The data path of ``tmpenv serve``: the proxy, and what keeps it true to the store.

Routes and activity go through the store, so that the processes of one data path, and
of all replicas, need not know of each other.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from proxy.activity import ActivityLog
from proxy.channel import Message
from proxy.environments import EnvironmentRouter
from proxy.host_router import HostRouter
from proxy.hosts import EnvironmentHosts
from proxy.listener import Proxy
from proxy.routes import RouteTable
from proxy.settings import ProxySettings
from spawner.identity import Tokens
from spawner.store.connection import Connection
from spawner.store.feed import Feed
from spawner.store.keys import Keys
from spawner.store.records import read_event
from spawner.store.store import Store
from web.activity import ActivityWriter
from web.certificate import CertificateFiles, renew
from web.config import PagesSettings
from web.data_path import Tell
from web.edge_pages import EdgePages
from web.logs import LogStyle
from web.routing import Routing


class EnvironmentsPath:
    """The data path of one process."""

    def __init__(self, work: "EnvironmentsWork", connection: Connection, tell: Tell) -> None:
        #: What visitors are shown, if TLS is spoken.
        self.certificate = work.certificate.read() if work.certificate else None
        store = Store(connection)
        feed = Feed(connection, connection.keys.events, read_event)
        activity = ActivityLog()
        table = RouteTable()
        self._writer = ActivityWriter(activity, store)
        table.observe(self._writer.observe)
        routing = Routing(table, store, Tokens(work.secret), _suspecting(tell), mount=work.mount)
        feed.listen(routing.hear)
        self.proxy = Proxy(
            router=_router_kind(work.hosts)(
                routes=table,
                resolver=routing,
                application=work.application,
                settings=work.proxy,
                activity=activity,
                mount=work.mount,
            ),
            settings=work.proxy,
            page=EdgePages(work.pages, work.mount, work.hosts),
        )
        self.duties = (feed.run, routing.run, self._writer.run)

    async def hear(self, message: Message) -> None:
        """Write the activity at once, or renew the certificate."""
        match message["do"]:
            case "flush":
                await self._writer.flush()
            case "renew" if self.certificate is not None:
                renew(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentsWork:
    """The data path, as it is given to a process: what it needs, and nothing more."""

    proxy: ProxySettings
    pages: PagesSettings
    mount: str
    certificate: CertificateFiles | None
    hosts: EnvironmentHosts | None  # those of environments, where they have their own
    instance: str
    log: LogStyle
    redis_url: str
    secret: str  # the tokens of environments derive from it
    application: str  # path of its socket

    async def open(self, stack: AsyncExitStack, tell: Tell) -> EnvironmentsPath:
        """Build the data path on a connection of its own."""
        connection = Connection(self.redis_url, Keys(self.instance))
        stack.push_async_callback(connection.close)
        return EnvironmentsPath(self, connection, tell)


def _router_kind(hosts: EnvironmentHosts | None) -> Callable[..., EnvironmentRouter]:
    return EnvironmentRouter if hosts is None else partial(HostRouter, hosts=hosts)


def _suspecting(tell: Tell) -> Callable[[str], None]:
    """Return what tells that an environment's address refused a connection."""

    def suspect(environment_id: str) -> None:
        tell(suspect=environment_id)

    return suspect
