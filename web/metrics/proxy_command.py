"""Tell Prometheus how ``tmpenv proxy`` is used, under configurable-http-proxy's names too."""

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import Metric

from proxy.workers import Workers
from web.data_path import Here
from web.dialects.chp import RoutesApi
from web.metrics.data_path import data_path_families, process_families
from web.metrics.families import gauge, lag_family
from web.metrics.serving import application_of, new_registry
from web.route_book import RouteBook


def application(path: Here | Workers, book: RouteBook, api: RoutesApi) -> web.Application:
    """Serve ``/metrics``."""

    async def look() -> list[Metric]:
        return list(_families(path, book, api))

    return application_of(new_registry(), look)


def _families(path: Here | Workers, book: RouteBook, api: RoutesApi) -> Iterator[Metric]:
    counts = path.counts
    yield _theirs("requests_web", "HTTP requests", {"": counts.all_requests})
    yield _theirs("requests_ws", "WebSocket requests", {"": counts.all_websockets})
    yield _theirs("requests_proxy", "Answers by status", counts.answers)
    yield _theirs("requests_api", "Answers of the REST API", api.statuses)
    for name, what in (("get", "read"), ("add", "put"), ("delete", "taken away")):
        about = f"Routes {what} by the REST API"
        yield _theirs(f"api_route_{name}", about, {"": api.counts[name]})
    yield gauge("tmpenv_proxy_routes", "Routes", len(book))
    yield from data_path_families(counts, {"target": counts.other_answers})
    yield from process_families(path.processes, path.replaced)
    yield lag_family({"data_path": (counts.lags, counts.lag_s)})


def _theirs(name: str, about: str, values: Mapping[str, int] | Mapping[int, int]) -> Metric:
    """Make a family whose name ends in no ``_total``, as no counter's of ours would."""
    family = Metric(name, about, "unknown")
    for status, value in sorted(values.items(), key=str):
        family.add_sample(name, {"status": str(status)} if status else {}, value)
    return family
