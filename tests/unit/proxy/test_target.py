"""Whose a path is, and which paths are nobody's."""

import itertools
import posixpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.target import TargetReader, read_on_own_host

READER = TargetReader()
MOUNTED = TargetReader(b"/lab.1/")

FORWARDED = [
    # target, environment, forwarded as
    ("/user/abc", "abc", "/user/abc"),
    ("/user/abc/", "abc", "/user/abc/"),
    ("/user/abc?", "abc", "/user/abc?"),
    ("/user/abc?1732150000000", "abc", "/user/abc?1732150000000"),
    ("/user/abc/api/kernels", "abc", "/user/abc/api/kernels"),
    ("/user/abc/a%2Fb%20c+d;e~[f]", "abc", "/user/abc/a%2Fb%20c+d;e~[f]"),
    ("/user/abc/x?", "abc", "/user/abc/x?"),
    ("/user/abc//x", "abc", "/user/abc//x"),
    ("/user/abc/x?u=http://a//../b/%zz", "abc", "/user/abc/x?u=http://a//../b/%zz"),
    ("/user/abcx", "abcx", "/user/abcx"),
    ("/user/a-b_c.d/x", "a-b_c.d", "/user/a-b_c.d/x"),
    ("/user/constructor/", "constructor", "/user/constructor/"),
    ("/user/abc/.hidden/..a/a../...", "abc", "/user/abc/.hidden/..a/a../..."),
    ("/", "", "/"),
    ("/user", "", "/user"),
    ("/user/", "", "/user/"),
    ("/user%2Fabc/", "", "/user%2Fabc/"),
    ("/%75ser/abc/", "", "/%75ser/abc/"),
    ("/USER/abc", "", "/USER/abc"),
    ("/users/abc", "", "/users/abc"),
    ("/api/spawn?x=/user/abc/", "", "/api/spawn?x=/user/abc/"),
    ("/build/git/https%3A%2F%2Fexample.org%2Fx/main", "",
     "/build/git/https%3A%2F%2Fexample.org%2Fx/main"),
    ("//user/abc//api/kernels", "abc", "/user/abc/api/kernels"),
    ("///user/abc/x?a=//b", "abc", "/user/abc/x?a=//b"),
    ("http://own.example/user/abc/x?y", "abc", "/user/abc/x?y"),
    ("HTTPS://own.example:80/user/abc", "abc", "/user/abc"),
    ("http://own.example", "", "/"),
    ("http://own.example?x", "", "/?x"),
]  # fmt: skip

UNDER_A_MOUNT = [
    # target, environment, forwarded as, path after the environment's prefix
    ("/lab.1/user/abc", "abc", "/lab.1/user/abc", ""),
    ("/lab.1/user/abc/api/kernels?x", "abc", "/lab.1/user/abc/api/kernels?x", "/api/kernels"),
    ("//lab.1//user/abc//api", "abc", "/lab.1/user/abc/api", "/api"),
    ("/lab.1//user/abc//api?a=//b", "abc", "/lab.1/user/abc/api?a=//b", "/api"),
    ("/lab.1/user/abc//x", "abc", "/lab.1/user/abc//x", "//x"),
    ("http://own.example/lab.1/user/abc/x", "abc", "/lab.1/user/abc/x", "/x"),
    ("/lab.1/", "", "/lab.1/", "/lab.1/"),
    ("/lab.1//api/spawn/", "", "/lab.1/api/spawn/", "/lab.1/api/spawn/"),
    ("/lab.1", "", "/lab.1", "/lab.1"),
    ("/lab.1/user/", "", "/lab.1/user/", "/lab.1/user/"),
    ("/user/abc/", "", "/user/abc/", "/user/abc/"),
    ("/labx1/user/abc/", "", "/labx1/user/abc/", "/labx1/user/abc/"),
    ("/lab.12/user/abc/", "", "/lab.12/user/abc/", "/lab.12/user/abc/"),
    ("/LAB.1/user/abc/", "", "/LAB.1/user/abc/", "/LAB.1/user/abc/"),
    ("/lab%2E1/user/abc/", "", "/lab%2E1/user/abc/", "/lab%2E1/user/abc/"),
    ("/lab.1%2Fuser/abc/", "", "/lab.1%2Fuser/abc/", "/lab.1%2Fuser/abc/"),
    ("/x/lab.1/user/abc/", "", "/x/lab.1/user/abc/", "/x/lab.1/user/abc/"),
]

REFUSED_UNDER_A_MOUNT = [
    (400, "/lab.1/../lab.1/user/abc/"),
    (400, "/lab.1/user/abc/%2e%2e/def/"),
    (400, "/x/../user/abc/"),
    (404, "/lab.1/user/%75abc/"),
    (404, "/lab.1/user//abc"),
]

REFUSED = [
    (400, "/user/abc/.."),
    (400, "/user/abc/../def/"),
    (400, "/user/abc/./x"),
    (400, "/user/abc/."),
    (400, "/user/abc/%2e%2E/def/"),
    (400, "/user/abc/.%2e/x"),
    (400, "/user/abc/%2e"),
    (400, "/user/abc/a%2F..%2Fb"),
    (400, "/user/../x"),
    (400, "/a/.."),
    (400, "//user/abc/..//x"),
    (400, "http://own.example/user/abc/../x"),
    (400, "/user/abc/%"),
    (400, "/user/abc/%4"),
    (400, "/user/abc/%zz"),
    (400, "/user/abc/%00"),
    (400, "/x%00"),
    (400, "*"),
    (400, "user/abc"),
    (400, "own.example:443"),
    (400, "ftp://own.example/user/abc/"),
    (400, "http:///user/abc/"),
    (400, "http://user@own.example/user/abc/"),
    (400, "http://own.example\\/user/abc/"),
    (404, "/user/%75abc/"),
    (404, "/user//abc"),
    (404, "/user/__proto__/"),
    (404, "/user/-abc/"),
    (404, "/user/%F0%9F%98%80/"),
    (404, "/user/" + "a" * 65 + "/"),
    (404, "/user/" + "a" * 10_000),
    (404, "/user/abc;x/"),
    (404, "/user/abc%20/"),
]


@pytest.mark.parametrize(("target", "environment_id", "forwarded"), FORWARDED)
def test_a_path_is_matched_and_forwarded_as_its_bytes(
    target: str, environment_id: str, forwarded: str
) -> None:
    destination = READER.read(target.encode())

    assert destination.environment_id == environment_id.encode()
    assert destination.target == forwarded.encode()


@pytest.mark.parametrize(("target", "environment_id", "forwarded", "rest"), UNDER_A_MOUNT)
def test_a_mounted_service_has_its_environments_below_its_own_path(
    target: str, environment_id: str, forwarded: str, rest: str
) -> None:
    destination = MOUNTED.read(target.encode())

    assert destination.environment_id == environment_id.encode()
    assert destination.target == forwarded.encode()
    assert destination.rest == rest.encode()


@pytest.mark.parametrize(("status", "target"), REFUSED_UNDER_A_MOUNT)
def test_a_mount_is_no_way_round_the_rules(status: int, target: str) -> None:
    with pytest.raises(Refusal) as caught:
        MOUNTED.read(target.encode())

    assert caught.value.error.status == status


@pytest.mark.parametrize(("status", "target"), REFUSED)
def test_a_path_that_could_mean_something_else_is_refused(status: int, target: str) -> None:
    with pytest.raises(Refusal) as caught:
        READER.read(target.encode())

    assert caught.value.error.status == status


ON_ITS_OWN_HOST = [
    # target, forwarded as, path after the environment's prefix
    ("/", "/", "/"),
    ("/user/abc", "/user/abc", ""),
    ("/user/abc?x", "/user/abc?x", ""),
    ("/user/abc/api/kernels?x", "/user/abc/api/kernels?x", "/api/kernels"),
    ("/user/abcd/api/kernels", "/user/abcd/api/kernels", "/user/abcd/api/kernels"),
    ("/user/other/x", "/user/other/x", "/user/other/x"),
    ("/user/__proto__/", "/user/__proto__/", "/user/__proto__/"),
    ("/api/spawn", "/api/spawn", "/api/spawn"),
    ("//user/abc//x", "/user/abc/x", "/x"),
    ("http://abc.example/user/abc/x", "/user/abc/x", "/x"),
    ("http://abc.example", "/", "/"),
]


@pytest.mark.parametrize(("target", "forwarded", "rest"), ON_ITS_OWN_HOST)
def test_every_path_is_the_environments_on_its_own_host(
    target: str, forwarded: str, rest: str
) -> None:
    destination = read_on_own_host(target.encode(), b"abc", b"/user/abc")

    assert destination == (forwarded.encode(), b"abc", rest.encode())


ON_ITS_OWN_HOST_UNDER_A_MOUNT = [
    # target, path after the environment's prefix
    ("/lab.1/user/abc", ""),
    ("/lab.1/user/abc/api/kernels?x", "/api/kernels"),
    ("/lab.1/user/abcd/api/kernels", "/lab.1/user/abcd/api/kernels"),
    ("/lab.1/user/other/api/kernels", "/lab.1/user/other/api/kernels"),
    ("/user/abc/api/kernels", "/user/abc/api/kernels"),
    ("/labx1/user/abc/api/kernels", "/labx1/user/abc/api/kernels"),
    ("/lab.1/", "/lab.1/"),
    ("/", "/"),
]


@pytest.mark.parametrize(("target", "rest"), ON_ITS_OWN_HOST_UNDER_A_MOUNT)
def test_on_its_own_host_an_environments_prefix_begins_with_the_mount(
    target: str, rest: str
) -> None:
    destination = read_on_own_host(target.encode(), b"abc", MOUNTED.environments + b"abc")

    assert destination == (target.encode(), b"abc", rest.encode())


@pytest.mark.parametrize("target", [target for status, target in REFUSED if status == 400])
def test_an_own_host_is_no_way_round_the_rules(target: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_on_own_host(target.encode(), b"abc", b"/user/abc")

    assert caught.value.error.status == 400


@given(st.lists(st.sampled_from(
    [b"/", b"user", b"abc", b".", b"%2e", b"%2F", b"%", b"?", b"..", b"http://h", b"%00", b"x"]
), max_size=10))  # fmt: skip
def test_whoever_resolves_a_forwarded_path_stays_where_it_was_routed(parts: list[bytes]) -> None:
    """However a server behind us decodes and resolves a path, its owner stays the same."""
    try:
        destination = READER.read(b"".join(parts))
    except Refusal:
        return

    path = destination.target.partition(b"?")[0]
    decoded = path.replace(b"%2F", b"/").replace(b"%2e", b".")

    assert not {b".", b".."} & set(decoded.split(b"/"))
    if destination.environment_id:
        assert path.startswith(b"/user/" + destination.environment_id)


@given(st.binary(max_size=200))
def test_no_target_raises_anything_but_a_refusal(target: bytes) -> None:
    try:
        forwarded = READER.read(target).target
    except Refusal:
        return

    assert forwarded.startswith(b"/")


SEGMENTS = (b"", b".", b"..", b"%2e", b".%2E", b"a", b"...", b"a%2Fb", b"%2f..")


@pytest.mark.parametrize(
    ("reader", "prefix"),
    [
        (READER, b"/user/abc"),
        (READER, b"/user"),
        (READER, b""),
        (READER, b"//user/abc"),
        (READER, b"http://h/user/abc"),
        (MOUNTED, b"/lab.1/user/abc"),
        (MOUNTED, b"/lab.1//user/abc"),
        (MOUNTED, b"/lab.1"),
        (MOUNTED, b""),
    ],
)
def test_no_path_of_four_segments_is_resolved_to_another_owner(
    reader: TargetReader, prefix: bytes
) -> None:
    """As urllib and posixpath read it, decoded once, which is what servers do."""
    for segments in itertools.product(SEGMENTS, repeat=4):
        sent = b"/".join((prefix, *segments))
        try:
            destination = reader.read(sent)
        except Refusal:
            continue

        path = urlsplit(destination.target.decode()).path
        resolved = posixpath.normpath(unquote(path))
        if destination.environment_id:
            owner = reader.environments + destination.environment_id
            assert (resolved + "/").startswith(owner.decode() + "/")
            assert destination.target == owner + destination.rest
        else:
            assert not resolved.startswith(reader.environments.decode())


@given(st.binary(max_size=60))
def test_what_is_routed_is_what_is_forwarded(rest: bytes) -> None:
    """Byte for byte, but for a path that begins with two slashes."""
    sent = b"/user/abc/" + rest
    try:
        destination = READER.read(sent)
    except Refusal:
        return

    assert destination.target == sent
    assert destination.environment_id == b"abc"
    assert destination.rest == b"/" + rest.partition(b"?")[0]
