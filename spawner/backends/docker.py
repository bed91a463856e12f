"""Run environments as containers of a Docker daemon.

Starts, stops, pulls, questions and followers of logs each have threads and
connections of their own, so that a slow one holds up no start. Nothing is remembered here
that the labels of the containers do not say.

One bridge carries about a thousand containers: the kernel allows it no more.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.base import Backend, Observed, Order, Progress
from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_companions import Companions
from spawner.backends.docker_companions_spec import COMPANION, private_name
from spawner.backends.docker_disk import Sizes, storage_opt
from spawner.backends.docker_errors import status_of
from spawner.backends.docker_events import endings
from spawner.backends.docker_images import Images
from spawner.backends.docker_logs import follow
from spawner.backends.docker_network import Networks, OpenWayOut, no_way_out
from spawner.backends.docker_run import CannotHold, NetworkGone, find, launch, remove
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import (
    ENVIRONMENT,
    INSTANCE,
    KIND,
    PRIVATE,
    SERVICES,
    check,
    container_name,
    container_spec,
    is_root,
    network_kind,
    runs_as_root,
)
from spawner.backends.docker_view import from_inspect, from_list, from_remains
from spawner.backends.threads import InFlight
from spawner.builder.logins import Login
from spawner.errors import ImageUnavailable, StartFailed
from spawner.model import Address, Template
from spawner.services import Services, companions_of

#: Each measurement keeps the daemon's disk busy.
_MEASURED_AT_ONCE = 2


class DockerBackend(Backend):
    """Runs each environment as a container of its own."""

    name = "docker"
    warning = ""

    def __init__(
        self,
        instance: str,
        settings: DockerSettings | None = None,
        *,
        open_way_out: OpenWayOut = no_way_out,
        login: Login | None = None,
        services: Services = MappingProxyType({}),
    ) -> None:
        """Bind everything.

        ``open_way_out`` has the way to the hosts of a list listen; ``services`` is what
        templates may ask for beside their environments. With ``login`` images are pulled
        from its registry; from others as docker's own configuration says.
        """
        self._instance = instance
        self._settings = settings or DockerSettings()
        self._services = services
        self._starts = DockerLane("start", self._settings, self._settings.start_threads)
        self._stops = DockerLane("stop", self._settings, self._settings.stop_threads)
        self._pulls = DockerLane("pull", self._settings, self._settings.pull_threads)
        self._queries = DockerLane("query", self._settings, self._settings.query_threads)
        self._measurements = DockerLane("size", self._settings, _MEASURED_AT_ONCE)
        self._sizes = Sizes(instance)
        #: What the daemon says of itself; empty once it has refused to hold layers to a size.
        self._info: Json | None = None
        self._images = Images(queries=self._queries, pulls=self._pulls, login=login)
        self._networks = Networks(
            instance, self._settings, self._queries, open_way_out=open_way_out
        )
        self._companions = Companions(
            instance,
            self._settings,
            images=self._images,
            firewall=self._networks.firewall,
            starts=self._starts,
            stops=self._stops,
        )
        self._keeping: asyncio.Task[None] | None = None
        self._starting = InFlight[Address]()
        #: Whose end is of our own doing; the oldest are forgotten.
        self._ended: deque[str] = deque(maxlen=1024)

    @property
    def gap(self) -> str:
        return self._networks.firewall.gap

    async def open(self) -> None:
        with suppress(StartFailed):  # each start says so again, and :attr:`gap` says it now
            await self._networks.ensure("open", again=True)
        if self._keeping is None:
            await self._networks.firewall.clear_away()
            await self._networks.sweep()
            self._keeping = asyncio.create_task(self._networks.keep(), name="docker networks")

    async def close(self) -> None:
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        for pending in (self._starting, self._images, self._networks):
            await pending.close()
        lanes = (self._starts, self._stops, self._pulls, self._queries, self._measurements)
        for lane in (*lanes, self._companions):
            lane.close()

    async def ping(self) -> None:
        await self._queries.run(_ping)

    async def has_image(self, image: str) -> bool:
        """Say whether the image is on the daemon's machine already.

        Raises:
            BackendUnavailable: Could not ask.
        """
        return await self._images.is_here(image)

    async def prepare(self, template: Template, progress: Progress) -> None:
        if template.image:  # without one there is nothing to prepare; start() says so
            await self._images.ensure(template.image, progress)
        for companion in companions_of(template, self._services):
            await self._images.ensure(companion.image, progress)

    async def start(self, order: Order) -> Address:
        return await self._starting.join(order.id, lambda: self._start(order))

    async def stop(self, environment_id: str, grace_s: float) -> None:
        self._companions.give_up(environment_id)
        await self._starting.settled(environment_id)
        self._companions.settled(environment_id)
        self._ended.append(environment_id)
        name = container_name(self._instance, environment_id)
        was = await self._stops.run(remove, name, self._instance, grace_s)
        # One that is not there may have had some, and have lost them to a crash half-way.
        if was is None or SERVICES in was["Config"]["Labels"]:
            await self._companions.remove(environment_id)

    async def inspect(self, environment_id: str) -> Observed | None:
        name = container_name(self._instance, environment_id)
        found = await self._queries.run(find, name, self._instance)
        return from_inspect(found, self._settings.reach) if found else None

    async def list(self) -> list[Observed]:
        found, left = await self._queries.run(_list, self._instance)
        here = {one.id: one for one in (from_list(one, self._settings.reach) for one in found)}
        # What is left of one that is not there itself is known by the same labels.
        remains = {one.id: one for one in map(from_remains, left)}
        for stuck in self._companions.stuck:
            remains.pop(stuck, None)
        return list((remains | here).values())

    async def tail(self, environment_id: str, lines: int) -> str:
        name = container_name(self._instance, environment_id)
        return await self._queries.run(_tail, name, lines)

    async def disk_usage(self, environment_id: str) -> int | None:
        return await self._measurements.run(self._sizes.of, environment_id)

    def follow(self, environment_id: str, lines: int) -> AsyncGenerator[bytes, None]:
        return follow(self._settings, container_name(self._instance, environment_id), lines)

    def endings(self) -> AsyncGenerator[str, None]:
        return endings(self._settings, self._instance, since=time.time(), expected=self._ended)

    async def _start(self, order: Order) -> Address:
        template = order.template
        check(template, self._settings)
        image = await self._images.look(template.image)
        if is_root(template.user or image.user) and not template.allow_root:
            raise runs_as_root(template)
        if self._info is None:
            self._info = await self._queries.run(_info)
        limit = storage_opt(self._info, template.disk, image.size)
        if companions := companions_of(template, self._services, order.services_key):
            await self._companions.start(order, companions)
        exports = {name: text for one in companions for name, text in one.exports.items()}
        try:
            started = await self._launch(order, limit, exports)
        except NetworkGone:
            started = await self._launch(order, limit, exports, again=True)
        except ImageUnavailable:
            self._images.forget(template.image)
            raise
        return await self._address_of(started, order)

    async def _launch(
        self, order: Order, limit: Json | None, exports: Mapping[str, str], *, again: bool = False
    ) -> Json:
        gateway = await self._networks.ensure(network_kind(order.template), again=again)
        spec = container_spec(
            order,
            instance=self._instance,
            created=datetime.now(UTC),
            settings=self._settings,
            gateway=gateway,
            exports=exports,
        )
        if limit:
            spec["HostConfig"]["StorageOpt"] = limit
        name = container_name(self._instance, order.id)
        beside = private_name(self._instance, order.id) if order.template.services else ""
        try:
            return await self._starts.run(launch, name, spec, self._instance, beside)
        except CannotHold:
            self._info = {}
            del spec["HostConfig"]["StorageOpt"]
            return await self._starts.run(launch, name, spec, self._instance, beside)

    async def _address_of(self, started: Json, order: Order) -> Address:
        """Give the address of what was started, unless it is not what was meant to be."""
        template = order.template
        if is_root(started["Config"].get("User") or "") and not template.allow_root:
            # The tag was moved to another image since it was looked at.
            self._images.forget(template.image)
            name = container_name(self._instance, order.id)
            await self._stops.run(remove, name, self._instance, 0)
            raise runs_as_root(template)
        seen = from_inspect(started, self._settings.reach)
        if not seen.is_running:
            raise StartFailed(f"The environment ended before it was ready: {seen.detail}.")
        if seen.address is None:
            raise StartFailed(
                f'The container {started["Name"]} cannot be reached by "{self._settings.reach}".'
            )
        return seen.address


def _info(client: APIClient) -> Json:
    try:
        info: Json = client.info()
    except APIError as error:
        if status_of(error) >= 500:
            raise
        return {}  # kept from us, perhaps by a proxy before the socket
    return info


def _ping(client: APIClient) -> None:
    client.ping()


def _list(client: APIClient, instance: str) -> tuple[list[Json], list[dict[str, str]]]:
    """Give the environments, and the labels of what any have or had beside them."""
    ours = {"label": f"{INSTANCE}={instance}"}
    found: list[Json] = client.containers(all=True, filters=ours)
    networks = client.networks(filters=ours)
    beside = [one["Labels"] for one in (*found, *networks)]
    kinds = (COMPANION, PRIVATE)
    return (
        [one for one in found if one["Labels"].get(KIND) == ENVIRONMENT],
        [labels for labels in beside if labels.get(KIND) in kinds],
    )


def _tail(client: APIClient, name: str, lines: int) -> str:
    try:
        printed: bytes = client.logs(name, stdout=True, stderr=True, tail=lines)
    except NotFound:
        return ""
    return printed.decode(errors="replace")
