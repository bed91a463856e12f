"""Serve ``/metrics``: look first, in the event loop, and then tell what was seen."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

#: Gives what is read at each scrape.
Look = Callable[[], Awaitable[Sequence[Metric]]]


class _Seen:
    """What was found at the last look."""

    families: Sequence[Metric] = ()

    def collect(self) -> Iterable[Metric]:
        """Give every family."""
        return self.families


def bare_registry() -> CollectorRegistry:
    """Give a registry with nothing in it."""
    # They are a series for each series, to say when we began to count.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return CollectorRegistry()


def new_registry() -> CollectorRegistry:
    """Give a registry that tells what the process itself uses."""
    registry = bare_registry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def application_of(registry: CollectorRegistry, look: Look) -> web.Application:
    """Serve ``/metrics``: what ``registry`` holds, and what ``look`` finds at each scrape."""
    seen = _Seen()
    registry.register(seen)

    async def metrics(_request: web.Request) -> web.Response:
        seen.families = await look()
        # Of many templates it is long: whoever asks for an environment must not wait for that.
        text = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app
