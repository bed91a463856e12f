"""Whose a path is, and which paths are nobody's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.target import read_target

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
    destination = read_target(target.encode())

    assert destination.environment_id == environment_id.encode()
    assert destination.target == forwarded.encode()


@pytest.mark.parametrize(("status", "target"), REFUSED)
def test_a_path_that_could_mean_something_else_is_refused(status: int, target: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_target(target.encode())

    assert caught.value.error.status == status


@given(st.lists(st.sampled_from(
    [b"/", b"user", b"abc", b".", b"%2e", b"%2F", b"%", b"?", b"..", b"http://h", b"%00", b"x"]
), max_size=10))  # fmt: skip
def test_whoever_resolves_a_forwarded_path_stays_where_it_was_routed(parts: list[bytes]) -> None:
    """However a server behind us decodes and resolves a path, its owner stays the same."""
    try:
        destination = read_target(b"".join(parts))
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
        forwarded = read_target(target).target
    except Refusal:
        return

    assert forwarded.startswith(b"/")
