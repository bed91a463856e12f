"""Start what the proxies lead to: one backend for all of them, cheaper than any.

Small answers and downloads come from an nginx of the bench's own, uploads and
WebSockets go to :mod:`bench.proxy.sink`. Both run where the load runs.
"""

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.proxy.scenarios import Load, Requests
from tests.serving import free_port
from tests.waiting import eventually

# What Jupyter answers a small request with.
_ANSWER = '{"last_activity":"2024-11-21T07:46:40.000000Z","started":"2024-11-21T07:00:00.0Z"}'
_NGINX = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 100000000;
        default_type application/json;
        add_header X-Content-Type-Options nosniff;
        add_header Content-Security-Policy "frame-ancestors 'self'; report-uri /api/security";
        add_header Cache-Control no-store;
        location / {{ return 200 '{answer}'; }}
        location ~ ^/user/[^/]+/files/(?<size>[0-9]+)$ {{ alias {directory}/$size; }}
    }}
}}
"""


class Backend:
    """A backend that runs."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.port = port
        self._process = process

    def received_bytes(self) -> int:
        """Ask the sink how many bytes of bodies have come in so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/received") as response:
            text = response.read().decode()
        return int(text.rpartition(" ")[2].rstrip("}"))

    async def stop(self) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.wait, 10)


@asynccontextmanager
async def backend_for(load: Load, directory: Path) -> AsyncIterator[Backend]:
    """Run the backend that a load needs."""
    is_upload = isinstance(load, Requests) and load.upload_bytes
    if isinstance(load, Requests) and not is_upload:
        backend = await _files(directory, load.download_bytes)
    else:
        backend = await _sink()
    try:
        yield backend
    finally:
        await backend.stop()


async def _files(directory: Path, size: int) -> Backend:
    port = free_port()
    with (directory / str(size)).open("wb") as file:
        file.truncate(size)
    conf = directory / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    conf.write_text(_NGINX.format(user=user, port=port, directory=directory, answer=_ANSWER))
    command = ["nginx", "-p", str(directory), "-c", str(conf), "-e", "stderr"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    async def listens() -> bool:
        assert process.poll() is None
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(listens)
    return Backend(port, process)


async def _sink() -> Backend:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.proxy.sink"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        port = int(await asyncio.to_thread(process.stdout.readline))
    return Backend(port, process)
