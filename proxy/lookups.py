"""Ask for routes that the table does not hold, once for all who wait.

However many requests arrive for one id, one question is in flight. STARTING is
an answer to those who waited for it and to no one after: it may be over by then.
"""

import asyncio
import logging
from collections.abc import Callable

from proxy.routes import Resolver, Route, RoutesUnavailable, RouteTable, Standing

logger = logging.getLogger(__name__)

Answer = Callable[[Route | None], None]


class Lookups:
    """The questions in flight, each with those who wait for the answer."""

    def __init__(self, routes: RouteTable, resolver: Resolver, *, timeout_s: float) -> None:
        self._routes = routes
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._waiting: dict[str, list[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, environment_id: str, answer: Answer) -> None:
        """Call ``answer`` with the route, or with None if nobody could be asked."""
        waiting = self._waiting.get(environment_id)
        if waiting is not None:
            waiting.append(answer)
            return
        self._waiting[environment_id] = [answer]
        task = asyncio.get_running_loop().create_task(self._ask(environment_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop the questions in flight."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, environment_id: str) -> None:
        route: Route | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                route = self._learn(await self._resolver.look_up(environment_id))
        except (RoutesUnavailable, TimeoutError):
            logger.warning(
                "routes cannot be asked for", extra={"event": "proxy.routes_unavailable"}
            )
        except Exception:
            logger.exception("a look-up failed", extra={"event": "proxy.lookup_failed"})
        finally:
            waiting = self._waiting.pop(environment_id)
        for answer in waiting:
            answer(route)

    def _learn(self, route: Route) -> Route:
        held = self._routes.get(route.environment_id)
        was_starting = held is not None and held.standing is Standing.STARTING
        if was_starting and route.standing is Standing.GONE:
            # "There is none" has no version of its own, yet is newer than what we asked about.
            self._routes.forget(route.environment_id)
        self._routes.put(route)
        return self._routes.get(route.environment_id) or route
