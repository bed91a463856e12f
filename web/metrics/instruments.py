"""The instruments of one ``tmpenv serve``: they are there before what they measure."""

from aiohttp import web
from prometheus_client import Metric

from proxy.lag import Lag
from proxy.workers import Workers
from spawner.core import Core
from web.data_path import Here
from web.metrics import instance
from web.metrics.data_path import serving_families
from web.metrics.measures import Measures
from web.metrics.serving import application_of, new_registry


class Instruments:
    """What measures one process; it is told to a Prometheus by :meth:`application`."""

    def __init__(self) -> None:
        self._registry = new_registry()
        self.recorder = Measures(self._registry)
        self.lag = Lag()

    def application(self, core: Core, path: Here | Workers) -> web.Application:
        """Serve what was measured, and what ``core`` and ``path`` are like."""

        async def look() -> list[Metric]:
            self.recorder.begin(core.service.pools)
            families = await instance.look(core.service, is_keeping=core.keeper.is_keeping)
            return [*families, *serving_families(path, self.lag)]

        return application_of(self._registry, look)
