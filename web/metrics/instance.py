"""Read at each scrape what an instance is like: its pools, its store, its lease.

The one rule: a store that does not answer is told as that, and its pools as nothing.
A pool that could not be counted is not an empty one.
"""

import asyncio
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from spawner.errors import ServiceError
from spawner.model import Phase, Pool, PoolStatus
from spawner.service import Service
from web.metrics.families import gauge
from web.version import VERSION

#: Well within the 10 s that Prometheus gives to a scrape.
ANSWER_TIMEOUT_S = 3.0
_SHARED = "; the same on every replica"
_STATES = {
    "spare": (Phase.READY,),
    "in_use": (Phase.ASSIGNED,),
    "starting": (Phase.CREATING, Phase.STARTING),
    "draining": (Phase.DRAINING,),
    "failed": (Phase.FAILED,),
}


async def look(service: Service, *, is_keeping: bool) -> list[Metric]:
    """Ask the store, and give every family."""
    statuses: Sequence[PoolStatus] | None = None
    builds: tuple[int, int] | None = None
    with suppress(ServiceError, TimeoutError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            builds = await service.builds.census() if service.builds else (0, 0)
            statuses = await service.pool_status()
    return [
        build_family(service.backend.name),
        *instance_families(is_store_up=statuses is not None, is_keeping=is_keeping),
        *pool_families(service.pools, statuses or ()),
        *([builds_family(*builds)] if builds else ()),
    ]


def builds_family(running: int, waiting: int) -> Metric:
    """Say how many builds are going on."""
    family = GaugeMetricFamily("tmpenv_builds", f"Builds by their state{_SHARED}", labels=["state"])
    family.add_metric(["running"], running)
    family.add_metric(["waiting"], waiting)
    return family


def build_family(backend: str) -> Metric:
    """Say what runs."""
    facts = {"version": VERSION, "python": platform.python_version(), "backend": backend}
    family = GaugeMetricFamily(
        "tmpenv_build_info", "What runs, in labels; always 1", labels=list(facts)
    )
    family.add_metric(list(facts.values()), 1)
    return family


def instance_families(*, is_store_up: bool, is_keeping: bool) -> Iterator[Metric]:
    """Say what this replica knows of its store and its lease."""
    yield gauge("tmpenv_store_up", "Whether the store answers", is_store_up)
    yield gauge(
        "tmpenv_lease_held", "Whether this replica keeps the pools; one of all does", is_keeping
    )


def pool_families(pools: Mapping[str, Pool], statuses: Sequence[PoolStatus]) -> Iterator[Metric]:
    """Say how large pools are to be, and what was counted in them."""
    labels = ["template"]
    size = GaugeMetricFamily(
        "tmpenv_pool_size", f"The most environments of a pool{_SHARED}", labels=labels
    )
    wanted = GaugeMetricFamily(
        "tmpenv_pool_spares_wanted", f"Spares that a pool keeps warm{_SHARED}", labels=labels
    )
    for name, pool in pools.items():
        size.add_metric([name], pool.size)
        wanted.add_metric([name], pool.target)
    yield from (size, wanted)
    present = GaugeMetricFamily(
        "tmpenv_pool_environments",
        f"Environments by their state{_SHARED}",
        labels=[*labels, "state"],
    )
    waiting = GaugeMetricFamily(
        "tmpenv_pool_waiting", f"Launches that wait for an environment{_SHARED}", labels=labels
    )
    failing = GaugeMetricFamily(
        "tmpenv_pool_failures",
        f"Starts that failed since the last that did not{_SHARED}",
        labels=labels,
    )
    for status in statuses:
        for state, phases in _STATES.items():
            number = sum(status.counts.get(phase, 0) for phase in phases)
            present.add_metric([status.template, state], number)
        waiting.add_metric([status.template], status.waiting)
        failing.add_metric([status.template], status.trouble.failures if status.trouble else 0)
    yield from (present, waiting, failing)
