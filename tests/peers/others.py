"""nginx, haproxy and configurable-http-proxy, as an operator would set them up.

Each is one process with one thread that serves, keeps its connections to the
upstream, tells it whom the request came from, lets WebSockets through without
a limit of time, and streams bodies both ways: none of them waits for a whole
body, or for a full buffer, before it passes bytes on.
"""

import os
from collections.abc import Sequence

from tests.components import CHP
from tests.peers.peer import HOST, Peer
from tests.peers.rest_api import RestPeer
from tests.waiting import eventually

_NGINX = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 10000; }}
http {{
    {map}
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream environments {{
        server {upstream};
        keepalive 256;
        keepalive_requests 1000000;
    }}
    server {{
        listen {address} backlog=4096;
        keepalive_requests 1000000;
        client_max_body_size 0;
        client_body_buffer_size 64k;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_buffer_size 64k;
        proxy_buffers 8 64k;
        proxy_request_buffering off;
        proxy_read_timeout 1d;
        proxy_send_timeout 1d;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
        location / {{ return 404; }}
        {locations}
    }}
}}
"""
_LOCATION = "location /user/{name}/ {{ proxy_pass http://environments; }}"
# A location for each of very many routes would take gigabytes.
_MAX_LOCATIONS = 1000
_LOOKED_UP = """location ~ ^/user/(?<environment>[^/]+)/ {
            if ($target = "") { return 404; }
            proxy_pass http://$target;
        }
"""
_MAP = """map_hash_max_size 262144;
    map_hash_bucket_size 128;
    map $environment $target {
        default "";
        include routes.map;
    }
"""
_HAPROXY = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    maxconn 8000
    timeout connect 5s
    timeout client 1d
    timeout server 1d
    timeout tunnel 1d
    option forwardfor
    http-reuse always
frontend visitors
    bind {address} backlog 4096
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    use_backend %[path,map_beg({directory}/routes.map)]
    default_backend nowhere
backend environments
    server environment {upstream}
backend nowhere
    http-request return status 404
"""


class Nginx(Peer):
    """nginx with one worker, and a location for each route, or a map of very many."""

    name = "nginx"
    component = "nginx"

    def command(self) -> Sequence[str]:
        locations, table = _LOOKED_UP, _MAP
        if len(self.ids) <= _MAX_LOCATIONS:
            locations, table = "\n".join(_LOCATION.format(name=name) for name in self.ids), ""
        else:
            lines = (f"{name} environments;\n" for name in self.ids)
            (self.directory / "routes.map").write_text("".join(lines))
        conf = self.directory / "nginx.conf"
        text = _NGINX.format(
            # Of nobody's rights a worker could not enter a temporary directory of ours.
            user="user root;" if os.geteuid() == 0 else "",
            upstream=f"{HOST}:{self.upstream_port}",
            address=f"{HOST}:{self.port}",
            locations=locations,
            map=table,
        )
        conf.write_text(text)
        return ["nginx", "-p", str(self.directory), "-c", str(conf), "-e", "stderr"]

    async def lead(self) -> None:
        async def has_worker() -> bool:
            return len(self.pids) == 2

        # It listens before the one that serves is there.
        await eventually(has_worker)


class Haproxy(Peer):
    """haproxy with one thread, and a map of routes."""

    name = "haproxy"
    component = "haproxy"

    def command(self) -> Sequence[str]:
        lines = (f"/user/{name}/ environments\n" for name in self.ids)
        (self.directory / "routes.map").write_text("".join(lines))
        conf = self.directory / "haproxy.cfg"
        upstream, address = f"{HOST}:{self.upstream_port}", f"{HOST}:{self.port}"
        text = _HAPROXY.format(directory=self.directory, upstream=upstream, address=address)
        conf.write_text(text)
        return ["haproxy", "-db", "-f", str(conf)]


class ConfigurableHttpProxy(RestPeer):
    """configurable-http-proxy as it comes."""

    name = "chp"
    component = "chp"

    def command(self) -> Sequence[str]:
        return [str(CHP), *self.flags()]
