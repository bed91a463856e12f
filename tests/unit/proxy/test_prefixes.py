"""The longest prefix wins, on segment boundaries, whoever encoded what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.prefixes import Prefixes, decoded, without_segments

HELD = ("/", "/user", "/user/foo", "/user/foo@bar", "/user/foo/deep/er", "/a/b/c", "/hub", "/é/x y")
MATCHES = [
    # path, the prefix that it belongs to
    ("/", "/"),
    ("", "/"),
    ("/nothing", "/"),
    ("/user", "/user"),
    ("/user/", "/user"),
    ("/users", "/"),
    ("/USER/foo", "/"),
    ("/user/fo", "/user"),
    ("/user/foo", "/user/foo"),
    ("/user/foo/", "/user/foo"),
    ("/user/foo//", "/user/foo"),
    ("/user/foox", "/user"),
    ("/user/foo/lab", "/user/foo"),
    ("/user/foo@bar/lab", "/user/foo@bar"),
    ("/user/foo%40bar/lab", "/user/foo@bar"),
    ("/user/foo%40bar", "/user/foo@bar"),
    ("/user%2Ffoo/lab", "/user/foo"),
    ("/%75ser/foo", "/user/foo"),
    ("/user//foo", "/user"),
    ("/user/foo/deep", "/user/foo"),
    ("/user/foo/deep/e", "/user/foo"),
    ("/user/foo/deep/er/x/y/z", "/user/foo/deep/er"),
    ("/a", "/"),
    ("/a/b", "/"),
    ("/a/b/c", "/a/b/c"),
    ("/a/b/c/d", "/a/b/c"),
    ("/hub/login", "/hub"),
    ("/%C3%A9/x%20y/z", "/é/x y"),
    ("/é/x+y", "/"),
    ("/user/foo%2540bar", "/user"),
]
RESTS = [
    # raw path, segments to take off, what is left
    ("/user/foo/lab", 2, "/lab"),
    ("/user/foo/", 2, "/"),
    ("/user/foo", 2, ""),
    ("/user/foo", 0, "/user/foo"),
    ("/user/f%40o/l%2Fb", 2, "/l%2Fb"),
    ("/user%2Ffoo/lab", 2, "/lab"),
    ("/user/foo%2flab", 2, "%2flab"),
    ("/%2Fuser/foo/lab", 2, "/lab"),
    ("/user/foo//lab", 2, "//lab"),
    ("/a", 1, ""),
]


@pytest.fixture
def prefixes() -> Prefixes[str]:
    held: Prefixes[str] = Prefixes()
    for prefix in HELD:
        held.put(prefix.encode(), prefix)
    return held


@pytest.mark.parametrize(("path", "prefix"), MATCHES)
def test_the_longest_prefix_wins(prefixes: Prefixes[str], path: str, prefix: str) -> None:
    assert prefixes.find(decoded(path.encode())) == prefix


@pytest.mark.parametrize(("path", "depth", "rest"), RESTS)
def test_a_prefix_is_taken_off_the_path_as_it_came(path: str, depth: int, rest: str) -> None:
    assert without_segments(path.encode(), depth) == rest.encode()


def test_without_a_root_a_path_may_belong_to_nobody(prefixes: Prefixes[str]) -> None:
    prefixes.pop(b"/")

    assert prefixes.find(b"/a/b") is None
    assert prefixes.find(b"/") is None


def test_slashes_at_either_end_make_no_difference(prefixes: Prefixes[str]) -> None:
    prefixes.put(b"user/foo/", "again")

    assert len(prefixes) == len(HELD)
    assert prefixes.get(b"/user/foo") == prefixes.find(b"/user/foo/x") == "again"
    assert prefixes.pop(b"/user/foo//") == "again"
    assert prefixes.find(b"/user/foo/x") == "/user"


def test_an_odd_name_is_a_name() -> None:
    held: Prefixes[str] = Prefixes()

    for name in (b"/constructor", b"/__proto__", b"/" + b"a" * 10_000):
        assert held.find(name) is None
        held.put(name, "held")
        assert held.find(name + b"/x") == "held"


def test_what_is_popped_is_gone_and_may_be_popped_again(prefixes: Prefixes[str]) -> None:
    for prefix in HELD:
        assert prefixes.pop(prefix.encode()) == prefix
        assert prefixes.pop(prefix.encode()) is None

    assert not len(prefixes)
    assert prefixes.find(b"/user/foo") is None


SEGMENTS = st.sampled_from([b"", b"a", b"b", b"ab", b"%61", b"%2F", b"a%2fb", b"%40", b"@"])
PATHS = st.lists(SEGMENTS, max_size=6).map(lambda parts: b"/" + b"/".join(parts))


@given(st.lists(PATHS, max_size=12), st.lists(st.integers(0, 11)), PATHS)
def test_it_is_what_comparing_with_every_prefix_would_find(
    put: list[bytes], popped: list[int], path: bytes
) -> None:
    prefixes: Prefixes[bytes] = Prefixes()
    held: set[bytes] = set()
    for prefix in put:
        prefixes.put(decoded(prefix), decoded(prefix).strip(b"/"))
        held.add(decoded(prefix).strip(b"/"))
    for index in popped:
        if index < len(put):
            prefixes.pop(decoded(put[index]))
            held.discard(decoded(put[index]).strip(b"/"))

    wanted = decoded(path).strip(b"/")
    matching = [one for one in held if not one or (wanted + b"/").startswith(one + b"/")]

    assert prefixes.find(decoded(path)) == max(matching, key=len, default=None)
    assert set(prefixes) == held


@given(PATHS, st.integers(0, 6))
def test_taking_segments_off_and_decoding_may_change_places(path: bytes, depth: int) -> None:
    segments = decoded(path).lstrip(b"/").split(b"/")

    rest = decoded(without_segments(path, depth))

    if depth:
        assert rest == b"".join(b"/" + segment for segment in segments[depth:])
    else:
        assert rest == decoded(path)
