"""Tell Prometheus how ``tmpenv proxy`` is used, under configurable-http-proxy's names."""

from collections.abc import Iterator, Mapping

from aiohttp import web

from proxy.listener import Proxy
from proxy.prefix_router import PrefixRouter
from web.dialects.chp import RoutesApi

_KIND = "text/plain; version=0.0.4; charset=utf-8"


def application(proxy: Proxy, router: PrefixRouter, api: RoutesApi) -> web.Application:
    """Serve ``/metrics``."""

    async def metrics(_request: web.Request) -> web.Response:
        text = "".join(f"{line}\n" for line in _lines(proxy, router, api))
        return web.Response(body=text.encode(), headers={"Content-Type": _KIND})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


def _lines(proxy: Proxy, router: PrefixRouter, api: RoutesApi) -> Iterator[str]:
    counts = proxy.counts
    yield from _family("requests_web", "counter", "HTTP requests", counts.all_requests)
    yield from _family("requests_ws", "counter", "WebSocket requests", counts.all_websockets)
    yield from _family("requests_proxy", "counter", "Answers by status", counts.answers)
    yield from _family("requests_api", "counter", "Answers of the REST API", api.statuses)
    for name, what in (("get", "read"), ("add", "put"), ("delete", "taken away")):
        yield from _family(
            f"api_route_{name}", "counter", f"Routes {what} by the REST API", api.counts[name]
        )
    yield from _family("tmpenv_proxy_routes", "gauge", "Routes", len(router))
    yield from _family("tmpenv_proxy_connections", "gauge", "Clients", counts.connections)
    yield from _family("tmpenv_proxy_open_requests", "gauge", "Open requests", counts.requests)
    yield from _family("tmpenv_proxy_websockets", "gauge", "Open WebSockets", counts.websockets)


def _family(
    name: str, kind: str, about: str, values: int | Mapping[str, int] | Mapping[int, int]
) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    if isinstance(values, int):
        yield f"{name} {values}"
        return
    for status, value in sorted(values.items(), key=str):
        yield f'{name}{{status="{status}"}} {value}'
