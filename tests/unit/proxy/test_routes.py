"""The local table of routes."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.routes import Route, RouteTable, Standing


def test_the_newest_version_wins() -> None:
    table = RouteTable()
    table.put(Route("abc", Standing.LIVE, "h", 1, version=2))

    table.put(Route("abc", Standing.STARTING, version=1))
    held = table.get("abc")
    table.put(Route("abc", Standing.GONE, reason="idle", version=3))
    table.put(Route("abc", Standing.LIVE, "h", 1, version=2))

    assert held is not None
    assert held.standing is Standing.LIVE
    assert (gone := table.get("abc")) is not None
    assert gone.reason == "idle"


def test_an_equal_version_replaces() -> None:
    table = RouteTable()
    table.put(Route("abc", Standing.LIVE, version=2))

    table.put(Route("abc", Standing.DRAINING, version=2))

    assert (held := table.get("abc")) is not None
    assert held.standing is Standing.DRAINING


def test_ids_are_those_that_are_not_gone() -> None:
    table = RouteTable()
    for name, standing in zip("abcd", Standing, strict=True):
        table.put(Route(name, standing))

    assert sorted(table.ids()) == ["a", "b", "c"]
    assert len(table) == 3


def test_a_bounded_number_of_gone_ids_is_remembered_by_use() -> None:
    table = RouteTable(remembered_gone=2)
    table.put(Route("a", Standing.GONE))
    table.put(Route("b", Standing.GONE))
    table.get("a")

    table.put(Route("c", Standing.GONE))

    assert table.get("a") is not None
    assert table.get("b") is None
    assert repr(table) == "<RouteTable routes=0 gone=2>"


def test_observers_hear_of_what_is_put_and_not_of_what_is_ignored() -> None:
    table = RouteTable()
    heard: list[tuple[str, Standing]] = []
    table.observe(lambda route: heard.append((route.environment_id, route.standing)))

    table.put(Route("a", Standing.LIVE, version=2))
    table.put(Route("a", Standing.GONE, version=1))
    table.put(Route("a", Standing.DRAINING, version=3))

    assert heard == [("a", Standing.LIVE), ("a", Standing.DRAINING)]


def test_what_is_forgotten_is_no_longer_trusted() -> None:
    table = RouteTable()
    heard: list[Standing] = []
    table.put(Route("a", Standing.LIVE, version=5))
    table.observe(lambda route: heard.append(route.standing))

    table.forget("a")
    table.forget("a")
    table.put(Route("a", Standing.LIVE, version=1))

    assert heard == [Standing.STARTING, Standing.LIVE]


STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.sampled_from(Standing),  # None: it is forgotten
        st.integers(0, 3),
    ),
    max_size=20,
)


@given(STEPS)
def test_it_holds_what_was_put_last_of_the_newest_version(
    steps: list[tuple[str, Standing | None, int]],
) -> None:
    table = RouteTable()
    model: dict[str, tuple[Standing, int]] = {}

    for name, standing, version in steps:
        if standing is None:
            table.forget(name)
            model.pop(name, None)
            continue
        table.put(Route(name, standing, version=version))
        if name not in model or version >= model[name][1]:
            model[name] = (standing, version)

    held = {name: table.get(name) for name in "abc"}
    assert {name: (one.standing, one.version) for name, one in held.items() if one} == model
    assert set(table.ids()) == {name for name in model if model[name][0] is not Standing.GONE}
