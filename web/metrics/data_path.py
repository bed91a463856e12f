"""Tell how the data path is used.

What several processes counted is summed, with what those counted that have ended.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from proxy.counts import Counts
from proxy.lag import Lag
from proxy.workers import Workers
from web.data_path import Here
from web.metrics.families import counter, gauge, lag_family

_USUAL = ("200", "302", "304", "400", "403", "404", "410", "429", "500", "502", "503", "504")
_KNOWN = {str(status.value) for status in HTTPStatus}
_UNKNOWN = "other"


def serving_families(path: Here | Workers, control: Lag) -> Iterator[Metric]:
    """Give what the data path of ``tmpenv serve`` counts at this moment."""
    counts = path.counts
    yield from data_path_families(counts, environments_and_application(counts))
    yield from process_families(path.processes, path.replaced)
    yield lag_family(
        {"data_path": (counts.lags, counts.lag_s), "control": (control.counts, control.sum_s)}
    )


def environments_and_application(counts: Counts) -> dict[str, Mapping[str, int]]:
    """Name who answered what is relayed by ``tmpenv serve``."""
    return {"environment": counts.environment_answers, "application": counts.other_answers}


def data_path_families(
    counts: Counts, relayed: Mapping[str, Mapping[str, int]]
) -> Iterator[Metric]:
    """Give what a data path counts; ``relayed`` are answers by who gave them."""
    yield gauge("tmpenv_proxy_connections", "Connections of clients", counts.connections)
    yield gauge("tmpenv_proxy_open_requests", "Requests that are open", counts.requests)
    yield gauge("tmpenv_proxy_websockets", "WebSockets that are open", counts.websockets)
    yield gauge("tmpenv_proxy_tasks", "Tasks of the event loops", counts.tasks)
    upstreams = GaugeMetricFamily(
        "tmpenv_proxy_upstreams", "Connections to targets", labels=["state"]
    )
    upstreams.add_metric(["idle"], counts.idle_upstreams)
    upstreams.add_metric(["busy"], counts.busy_upstreams)
    yield upstreams
    yield counter("tmpenv_proxy_requests", "Requests, but for WebSockets", counts.all_requests)
    yield counter(
        "tmpenv_proxy_websocket_requests", "Requests for a WebSocket", counts.all_websockets
    )
    yield _answers(
        {**relayed, "edge": counts.edge_answers, "websocket": {"101": counts.opened_websockets}}
    )
    moved = CounterMetricFamily("tmpenv_proxy_bytes", "Bytes moved", labels=["direction"])
    moved.add_metric(["in"], counts.bytes_in)
    moved.add_metric(["out"], counts.bytes_out)
    yield moved


def process_families(processes: int, replaced: int) -> Iterator[Metric]:
    """Give how many processes a data path has, and how many it has had to replace."""
    yield gauge("tmpenv_proxy_workers", "Processes of the data path", processes)
    yield counter("tmpenv_proxy_workers_replaced", "Processes that ended", replaced)


def _answers(by_class: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(
        "tmpenv_proxy_answers",
        "Answers by their code and by who gave them: an environment, the application, "
        "the edge itself; a WebSocket that was opened is a class of its own",
        labels=["class", "code"],
    )
    for name, answers in by_class.items():
        numbers = dict.fromkeys(() if name == "websocket" else _USUAL, 0)
        for code, number in sorted(answers.items()):
            # Environments may answer any number; they must not make as many series.
            known = code if code in _KNOWN else _UNKNOWN
            numbers[known] = numbers.get(known, 0) + number
        for code, number in numbers.items():
            family.add_metric([name, code], number)
    return family
