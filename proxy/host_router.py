"""Find environments by their own hosts, and lead pages there that come by path.

On the host of an environment everything is that environment's, whatever the path
says; nobody else is ever reached there. On the service's hosts paths lead to
environments as ever, for scripts and WebSockets. But nothing of an environment
runs as a page there: that would be in the service's origin, and in its neighbours'.
"""

from proxy.activity import ActivityLog
from proxy.environments import EnvironmentRouter
from proxy.errors import Answer, EdgeError
from proxy.hosts import EnvironmentHosts, check_authority
from proxy.request import Request
from proxy.router import Found
from proxy.routes import Resolver, RouteTable
from proxy.settings import ProxySettings
from proxy.target import read_on_own_host
from proxy.upstream import Target

_NO_SERVICE_WORKER = EdgeError(
    403, "no_service_worker", "Service workers are for the environment's own host alone."
)


class HostRouter(EnvironmentRouter):
    """Leads to live environments, each on a host of its own."""

    def __init__(
        self,
        *,
        hosts: EnvironmentHosts,
        routes: RouteTable,
        resolver: Resolver,
        application: str,
        settings: ProxySettings,
        activity: ActivityLog,
        mount: str = "/",
    ) -> None:
        super().__init__(
            routes=routes,
            resolver=resolver,
            application=application,
            settings=settings,
            activity=activity,
            mount=mount,
        )
        self._hosts = hosts

    def find(self, request: Request) -> Found | None:
        """Return the live target, why there is none, or None: the store must be asked."""
        headers = request.headers
        check_authority(request.target, headers.host)
        request.is_on_own_host = True  # unless the host turns out to be the service's
        environment_id = self._hosts.environment_at(headers.seen_host)
        if environment_id is None:
            request.is_on_own_host = False
            request.destination = self._reader.read(request.target)
            if not request.destination.environment_id:
                return self._application
        else:
            request.destination = read_on_own_host(
                request.target, environment_id, self._prefix_of(environment_id)
            )
        return self._look(request)

    def _enter(self, request: Request, target: Target) -> Found:
        if not request.is_on_own_host:
            return self._enter_by_path(request, target)
        path = request.destination.target
        if path[1:2] in (b"", b"?") and request.method in (b"GET", b"HEAD"):
            return _redirect(302, target.prefix + path)  # servers answer below their prefix alone
        return super()._enter(request, target)

    def _enter_by_path(self, request: Request, target: Target) -> Found:
        headers = request.headers
        if headers.is_worker_script:
            return _NO_SERVICE_WORKER
        if headers.opens_page and not request.is_upgrade:
            host = self._hosts.host_of(target.environment_id, headers.seen_host)
            # Without a scheme it is the visitor's own, whoever speaks TLS for us.
            return _redirect(307, b"//" + host + request.destination.target)
        return super()._enter(request, target)

    def _own_host_of(self, environment_id: bytes) -> bytes:
        return self._hosts.name_of(environment_id)


def _redirect(status: int, location: bytes) -> Answer:
    return Answer(status, b"", b"text/plain", lines=b"\r\nLocation: " + location)
