"""Tell Prometheus how ``tmpenv proxy`` is used, under configurable-http-proxy's names too."""

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric

from proxy.workers import Workers
from web.data_path import Here
from web.dialects.chp import RoutesApi
from web.metrics import application_of, data_path_families, gauge
from web.route_book import RouteBook


class _Collector:
    """Reads everything at the moment in which it is asked for."""

    def __init__(self, path: Here | Workers, book: RouteBook, api: RoutesApi) -> None:
        self._path = path
        self._book = book
        self._api = api

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        counts = self._path.counts
        yield _theirs("requests_web", "HTTP requests", {"": counts.all_requests})
        yield _theirs("requests_ws", "WebSocket requests", {"": counts.all_websockets})
        yield _theirs("requests_proxy", "Answers by status", counts.answers)
        yield _theirs("requests_api", "Answers of the REST API", self._api.statuses)
        for name, what in (("get", "read"), ("add", "put"), ("delete", "taken away")):
            about = f"Routes {what} by the REST API"
            yield _theirs(f"api_route_{name}", about, {"": self._api.counts[name]})
        yield gauge("tmpenv_proxy_routes", "Routes", len(self._book))
        yield from data_path_families(self._path)


def application(path: Here | Workers, book: RouteBook, api: RoutesApi) -> web.Application:
    """Serve ``/metrics``."""
    registry = CollectorRegistry()
    registry.register(_Collector(path, book, api))
    return application_of(registry)


def _theirs(name: str, about: str, values: Mapping[str, int] | Mapping[int, int]) -> Metric:
    """Make a family whose name ends in no ``_total``, as no counter's of ours would."""
    family = Metric(name, about, "unknown")
    for status, value in sorted(values.items(), key=str):
        family.add_sample(name, {"status": str(status)} if status else {}, value)
    return family
