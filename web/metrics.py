"""Tell Prometheus how the data path is used. Series are there from the start.

What several processes counted is summed, with what those counted that have ended.
"""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from proxy.workers import Workers
from web.data_path import Here

_USUAL = ("200", "302", "304", "400", "403", "404", "410", "429", "500", "502", "503", "504")


class DataPathCollector:
    """Reads the counts of a data path at the moment in which it is asked for them."""

    def __init__(self, path: Here | Workers) -> None:
        self._path = path

    def collect(self) -> Iterator[Metric]:
        """Give every family."""
        return data_path_families(self._path)


def data_path_families(path: Here | Workers) -> Iterator[Metric]:
    """Give what a data path counts."""
    counts = path.counts
    yield gauge("tmpenv_proxy_connections", "Connections of clients", counts.connections)
    yield gauge("tmpenv_proxy_open_requests", "Requests that are open", counts.requests)
    yield gauge("tmpenv_proxy_websockets", "WebSockets that are open", counts.websockets)
    yield gauge("tmpenv_proxy_tasks", "Tasks of the event loops", counts.tasks)
    yield gauge("tmpenv_proxy_workers", "Processes of the data path", path.processes)
    upstreams = GaugeMetricFamily(
        "tmpenv_proxy_upstreams", "Connections to targets", labels=["state"]
    )
    upstreams.add_metric(["idle"], counts.idle_upstreams)
    upstreams.add_metric(["busy"], counts.busy_upstreams)
    yield upstreams
    yield _counter("tmpenv_proxy_workers_replaced", "Processes that ended", path.replaced)
    yield _counter("tmpenv_proxy_requests", "Requests, but for WebSockets", counts.all_requests)
    yield _counter(
        "tmpenv_proxy_websocket_requests", "Requests for a WebSocket", counts.all_websockets
    )
    answers = CounterMetricFamily("tmpenv_proxy_answers", "Answers by their code", labels=["code"])
    for code in sorted({*_USUAL, *counts.answers}):
        answers.add_metric([code], counts.answers.get(code, 0))
    yield answers
    moved = CounterMetricFamily("tmpenv_proxy_bytes", "Bytes moved", labels=["direction"])
    moved.add_metric(["in"], counts.bytes_in)
    moved.add_metric(["out"], counts.bytes_out)
    yield moved


def gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    """Make a gauge of one series."""
    return GaugeMetricFamily(name, about, value=value)


def _counter(name: str, about: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, about, value=value)


def application_of(registry: CollectorRegistry) -> web.Application:
    """Serve ``/metrics`` with what ``registry`` holds, and what the process itself uses."""
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)

    async def metrics(_request: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app
