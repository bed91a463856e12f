"""Serve something beside the public port: the REST API, the metrics."""

from contextlib import AsyncExitStack
from typing import NamedTuple

from aiohttp import web

from web.addresses import every_if_unset
from web.public_port import PublicPort
from web.start_errors import cannot_listen


class Side(NamedTuple):
    """Where it is served, and the flags that say so."""

    host: str  # empty or * for all addresses
    port: int
    host_flag: str
    port_flag: str


async def serve_beside(
    stack: AsyncExitStack, public: PublicPort, app: web.Application, side: Side
) -> int:
    """Serve ``app`` until ``stack`` ends or another one follows; give its port.

    Raises:
        StartError: Its address cannot be listened on.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, every_if_unset(side.host), side.port)
    try:
        await site.start()
    except OSError as error:
        raise cannot_listen(
            side.host, side.port, error, host_flag=side.host_flag, port_flag=side.port_flag
        ) from error
    port = int(runner.addresses[0][1])
    public.leave_also(site.stop)
    return port
