"""What base.py promises, held by every backend alike."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from spawner.backends.base import Backend, Order
from spawner.errors import BackendUnavailable, StartFailed
from spawner.model import Address
from tests.contract.rigs import Rig, new_id
from tests.waiting import eventually


async def ask(address: Address, path: str) -> int:
    """Ask an environment for a path; give the status, or 0 if it does not answer."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
            head = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return 0
    return int(head.split()[1]) if head else 0


async def answers(order: Order, address: Address) -> bool:
    """Wait until an environment answers below its base path."""

    async def check() -> bool:
        return await ask(address, order.base_path + "api") == 200

    return await eventually(check)


def held() -> tuple[list[str], int]:
    """Name the threads of this process, and count its descriptors."""
    return [thread.name for thread in threading.enumerate()], psutil.Process().num_fds()


async def ids(backend: Backend) -> set[str]:
    return {seen.id for seen in await backend.list()}


async def has_ended(backend: Backend, order: Order) -> bool:
    async def check() -> bool:
        seen = await backend.inspect(order.id)
        assert seen is not None
        return not seen.is_running

    return await eventually(check)


async def test_it_has_a_name_and_answers(backend: Backend) -> None:
    await backend.ping()

    assert backend.name
    assert isinstance(backend.warning, str)


async def test_opening_again_and_at_once_changes_nothing(rig: Rig) -> None:
    backends = [await rig.make() for _ in range(2)]

    await asyncio.gather(*(backend.open() for backend in backends for _ in range(3)))

    assert await backends[0].list() == []


async def test_what_is_at_hand_needs_no_preparing(rig: Rig, backend: Backend) -> None:
    template = rig.template()
    told: list[str] = []

    await asyncio.gather(*(backend.prepare(template, told.append) for _ in range(3)))

    assert told == []


async def test_a_started_environment_answers_below_its_base_path(
    rig: Rig, backend: Backend
) -> None:
    order = rig.order()

    address = await backend.start(order)

    assert await answers(order, address)


async def test_its_labels_tell_what_it_is(rig: Rig, backend: Backend) -> None:
    order = rig.order(auth="url")
    before = datetime.now(UTC) - timedelta(seconds=2)

    address = await backend.start(order)
    (listed,) = await backend.list()
    inspected = await backend.inspect(order.id)

    for seen in (listed, inspected):
        assert seen is not None
        assert (seen.id, seen.base_path) == (order.id, order.base_path)
        assert (seen.template, seen.digest) == ("tiny", order.template.digest)
        assert seen.auth is order.template.auth
        assert before < seen.created_at < datetime.now(UTC) + timedelta(seconds=2)
        assert seen.is_running
        assert seen.address == address
        assert seen.detail == ""


async def test_starting_twice_finds_the_first(rig: Rig, backend: Backend) -> None:
    order = rig.order()

    first = await backend.start(order)
    second = await backend.start(order)

    assert first == second
    assert len(await backend.list()) == 1


async def test_starting_the_same_at_once_from_two_processes_makes_one(rig: Rig) -> None:
    backends = [await rig.make(), await rig.make()]
    order = rig.order()

    addresses = await asyncio.gather(*(each.start(order) for each in backends for _ in range(2)))

    assert len(set(addresses)) == 1
    assert await ids(backends[0]) == {order.id}
    assert await answers(order, addresses[0])


async def test_starting_one_that_has_ended_says_so(rig: Rig, backend: Backend) -> None:
    order = rig.order()
    await backend.start(order)
    await rig.kill(order)
    await has_ended(backend, order)

    with pytest.raises(StartFailed, match="ended"):
        await backend.start(order)


async def test_ten_starts_at_once_give_ten_addresses(rig: Rig, backend: Backend) -> None:
    orders = [rig.order() for _ in range(10)]

    addresses = await asyncio.gather(*(backend.start(order) for order in orders))

    assert len(set(addresses)) == 10
    assert await ids(backend) == {order.id for order in orders}
    assert all(await asyncio.gather(*map(answers, orders, addresses)))


async def test_a_refused_start_leaves_nothing_that_stop_does_not_remove(rig: Rig) -> None:
    backend, order = rig.refused()

    with pytest.raises(StartFailed) as failure:
        await backend.start(order)
    await backend.stop(order.id, 0)
    await backend.close()

    assert str(failure.value)
    assert "\n" not in str(failure.value)
    assert await rig.leftovers(order) == []


@pytest.mark.parametrize("moments", [0, 1, 2, 5])
async def test_what_a_cancelled_start_made_is_removed_by_stop(
    rig: Rig, backend: Backend, moments: int
) -> None:
    order = rig.order()
    start = asyncio.create_task(backend.start(order))
    for _ in range(moments):
        await asyncio.sleep(0.005)

    start.cancel()
    await asyncio.wait([start])
    await backend.stop(order.id, 0)

    assert await backend.inspect(order.id) is None
    assert await rig.leftovers(order) == []


async def test_stopping_what_is_not_there_is_a_success(backend: Backend) -> None:
    await backend.stop(new_id(), 5)


async def test_a_stopped_one_is_gone_with_all_it_had(rig: Rig, backend: Backend) -> None:
    order = rig.order()
    address = await backend.start(order)
    await answers(order, address)

    await backend.stop(order.id, 5)

    assert await backend.inspect(order.id) is None
    assert await backend.list() == []
    assert await rig.leftovers(order) == []
    assert await ask(address, order.base_path) == 0


async def test_stopping_at_once_and_again_succeeds(rig: Rig, backend: Backend) -> None:
    other = await rig.make()
    order = rig.order()
    await backend.start(order)

    await asyncio.gather(*(each.stop(order.id, 1) for each in (backend, other) for _ in range(2)))
    await backend.stop(order.id, 1)

    assert await rig.leftovers(order) == []


async def test_stopping_one_leaves_its_neighbours(rig: Rig, backend: Backend) -> None:
    first, second = rig.order(), rig.order()
    address = await backend.start(second)
    await backend.start(first)

    await backend.stop(first.id, 5)

    assert await ids(backend) == {second.id}
    assert await answers(second, address)


async def test_one_that_ended_can_be_stopped(rig: Rig, backend: Backend) -> None:
    order = rig.order()
    await backend.start(order)
    await rig.kill(order)

    await backend.stop(order.id, 5)

    assert await rig.leftovers(order) == []


async def test_nobody_has_an_unknown_one(backend: Backend) -> None:
    assert await backend.inspect(new_id()) is None
    assert await backend.tail(new_id(), 10) == ""
    assert await backend.disk_usage(new_id()) is None


async def test_another_instance_is_neither_seen_nor_touched(rig: Rig, backend: Backend) -> None:
    stranger = await rig.make("two")
    order = rig.order()
    address = await stranger.start(order)

    await backend.stop(order.id, 0)

    assert await backend.list() == []
    assert await backend.inspect(order.id) is None
    assert await backend.disk_usage(order.id) is None
    assert await ids(stranger) == {order.id}
    assert await answers(order, address)


async def test_what_runs_outlives_its_backend_and_is_found_again(rig: Rig) -> None:
    old = await rig.make()
    order = rig.order()
    address = await old.start(order)
    before = await old.inspect(order.id)
    await old.close()

    new = await rig.make()

    assert await new.list() == [before]
    assert await answers(order, address)
    assert await new.start(order) == address
    await new.stop(order.id, 5)
    assert await rig.leftovers(order) == []


async def test_one_that_died_is_told_and_shown_with_how(rig: Rig, backend: Backend) -> None:
    order = rig.order()
    address = await backend.start(order)
    await answers(order, address)
    async with aclosing(backend.endings()) as endings:
        await rig.kill(order)
        async with asyncio.timeout(15):
            told = await anext(endings)

    await has_ended(backend, order)

    assert told == order.id
    (listed,) = await backend.list()
    inspected = await backend.inspect(order.id)
    for seen in (listed, inspected):
        assert seen is not None
        assert not seen.is_running
        assert seen.address is None
        assert seen.detail


async def test_endings_of_others_are_not_told(rig: Rig, backend: Backend) -> None:
    stranger = await rig.make("two")
    theirs, ours = rig.order(), rig.order()
    await stranger.start(theirs)
    await backend.start(ours)

    async with aclosing(backend.endings()) as endings:
        await rig.kill(theirs)
        await rig.kill(ours)
        async with asyncio.timeout(15):
            told = await anext(endings)

    assert told == ours.id


async def test_one_started_before_a_restart_is_still_watched(rig: Rig) -> None:
    order = rig.order()
    old = await rig.make()
    await old.start(order)
    await old.close()
    new = await rig.make()

    async with aclosing(new.endings()) as endings:
        await rig.kill(order)
        async with asyncio.timeout(15):
            told = await anext(endings)

    assert told == order.id


async def test_endings_can_be_given_up_at_once(backend: Backend) -> None:
    async def listen() -> None:
        async for _ in backend.endings():
            pass

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.05)

    listening.cancel()

    done, _ = await asyncio.wait([listening], timeout=5)
    assert done


async def test_tail_gives_the_last_lines(rig: Rig, backend: Backend) -> None:
    order = rig.order()
    address = await backend.start(order)
    await answers(order, address)

    async def check() -> bool:
        return "listening" in await backend.tail(order.id, 1)

    assert await eventually(check)
    assert len((await backend.tail(order.id, 1)).splitlines()) == 1


async def test_what_it_writes_is_measured_and_nothing_else(rig: Rig, backend: Backend) -> None:
    writer, neighbour = rig.order(), rig.order()
    for order in (writer, neighbour):
        await answers(order, await backend.start(order))
    written, slack = 5 << 20, 256 << 10

    await rig.write(writer, written)

    used = await backend.disk_usage(writer.id)
    assert used is not None
    assert written <= used <= written + slack
    assert (await backend.disk_usage(neighbour.id) or 0) <= slack


async def heard(log: AsyncGenerator[bytes, None], words: str) -> str:
    """Listen to a log until it has said some words; give all that it said until then."""
    text = ""
    async with asyncio.timeout(15):
        while words not in text:
            text += (await anext(log)).decode()
    return text


async def rest(log: AsyncGenerator[bytes, None]) -> str:
    """Listen to a log until it ends."""
    async with asyncio.timeout(15):
        return b"".join([printed async for printed in log]).decode()


async def listening(rig: Rig, backend: Backend) -> Order:
    """Start an environment and wait until it has printed that it listens."""
    order = rig.order()
    await backend.start(order)

    async def check() -> bool:
        return "listening" in await backend.tail(order.id, 1)

    assert await eventually(check)
    return order


async def test_a_follower_hears_the_last_lines_and_then_each_as_it_is_printed(
    rig: Rig, backend: Backend
) -> None:
    order = await listening(rig, backend)
    await rig.say(order, "one")

    async with aclosing(backend.follow(order.id, 1)) as log:
        assert await heard(log, "one\n") == "one\n"
        await rig.say(order, "two")
        assert await heard(log, "two\n") == "two\n"
        await rig.say(order, "three")
        assert await heard(log, "three\n") == "three\n"


async def test_a_follower_of_no_last_lines_hears_what_is_new(rig: Rig, backend: Backend) -> None:
    order = await listening(rig, backend)

    async with aclosing(backend.follow(order.id, 0)) as log:
        first = asyncio.create_task(heard(log, "new"))
        # Nothing tells when it listens: it is told until it hears.
        while not (await asyncio.wait([first], timeout=0.1))[0]:
            await rig.say(order, "new")

    assert "listening" not in first.result()


async def test_a_log_ends_with_its_environment_and_has_its_last_words(
    rig: Rig, backend: Backend
) -> None:
    order = await listening(rig, backend)

    async with aclosing(backend.follow(order.id, 1)) as log:
        await heard(log, "listening")
        await rig.say(order, "farewell")
        await rig.kill(order)

        assert (await rest(log)).endswith("farewell\n")


async def test_a_log_ends_when_its_environment_is_stopped(rig: Rig, backend: Backend) -> None:
    order = await listening(rig, backend)

    async with aclosing(backend.follow(order.id, 1)) as log:
        await heard(log, "listening")
        stop = asyncio.create_task(backend.stop(order.id, 5))

        await rest(log)
        await stop


async def test_the_log_of_one_that_ended_is_told_and_ends(rig: Rig, backend: Backend) -> None:
    order = await listening(rig, backend)
    await rig.kill(order)
    await has_ended(backend, order)

    async with aclosing(backend.follow(order.id, 10)) as log:
        assert "listening" in await rest(log)


async def test_nobody_follows_an_unknown_one_or_anothers(rig: Rig, backend: Backend) -> None:
    stranger = await rig.make("two")
    order = await listening(rig, stranger)

    for environment_id in (new_id(), order.id):
        async with aclosing(backend.follow(environment_id, 10)) as log:
            assert await rest(log) == ""


async def test_followers_hold_up_nothing_and_give_everything_back(
    rig: Rig, backend: Backend
) -> None:
    order = await listening(rig, backend)
    before = held()[1]

    async def follow() -> None:
        async with aclosing(backend.follow(order.id, 1)) as log:
            async for _ in log:
                followed.release()

    followed = asyncio.Semaphore(0)
    followers = [asyncio.create_task(follow()) for _ in range(20)]
    async with asyncio.timeout(30):
        for _ in followers:
            await followed.acquire()
        other = rig.order()
        await backend.start(other)
        await backend.inspect(other.id)
        await backend.stop(other.id, 0)

    for follower in followers:
        follower.cancel()
    done, _ = await asyncio.wait(followers, timeout=5)

    assert done == set(followers)

    async def is_given_back() -> bool:
        threads, descriptors = held()
        # A backend may keep two for all followers; its other lanes grew by this test's questions.
        followers = [name for name in threads if "follow" in name]
        return len(followers) <= 2 and descriptors <= before + 12

    assert await eventually(is_given_back)


@pytest.mark.parametrize("moments", [0, 1, 2, 5, 20])
async def test_following_can_be_given_up_at_any_moment(
    rig: Rig, backend: Backend, moments: int
) -> None:
    order = await listening(rig, backend)
    follower = asyncio.create_task(rest(backend.follow(order.id, 1)))
    for _ in range(moments):
        await asyncio.sleep(0.002)

    follower.cancel()

    done, _ = await asyncio.wait([follower], timeout=5)
    assert done


@pytest.mark.parametrize(
    "method",
    [
        *("open", "ping", "prepare", "start", "stop", "inspect", "list", "tail"),
        *("disk_usage", "follow", "endings"),
    ],
)
async def test_no_answer_is_never_an_answer(rig: Rig, method: str) -> None:
    backend = rig.cut_off()
    order = rig.order()

    async def call() -> object:
        match method:
            case "prepare":
                return await backend.prepare(order.template, lambda _: None)
            case "start":
                return await backend.start(order)
            case "stop":
                return await backend.stop(order.id, 1)
            case "inspect":
                return await backend.inspect(order.id)
            case "tail":
                return await backend.tail(order.id, 1)
            case "disk_usage":
                return await backend.disk_usage(order.id)
            case "follow":
                return await anext(backend.follow(order.id, 1))
            case "endings":
                return await anext(backend.endings())
            case _:
                return await getattr(backend, method)()

    async with asyncio.timeout(20):
        with pytest.raises(BackendUnavailable) as failure:
            await call()

    assert str(failure.value)
    assert "\n" not in str(failure.value)
    await backend.close()
