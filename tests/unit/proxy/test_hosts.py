"""Whose host it is, and that nobody is taken for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.hosts import EnvironmentHosts, check_authority, host_name

HOSTS = EnvironmentHosts("envs.example.org")
ID = "3hezjwufm4tacuy90fi17bpy2"

OF_AN_ENVIRONMENT = [
    f"{ID}.envs.example.org",
    f"{ID.upper()}.Envs.Example.ORG",
    f"{ID}.envs.example.org.",
    f"{ID}.envs.example.org:8000",
    f"{ID}.envs.example.org.:8000",
    f"{ID}.envs.example.org:",
]
OF_THE_SERVICE = [
    "",
    "envs.example.org",
    "ENVS.example.org.:8000",
    "example.org",
    "www.example.org",
    f"{ID}.other.example.org",
    f"{ID}envs.example.org",
    f"{ID}.envs.example.org.evil.example",
    f"{ID}.envs.example.orgx",
    f"{ID}.envsxexample.org",
    f"{ID}.envs.example.org..",
    f"{ID}.envs.example.org:80x",
    f"{ID}.envs.example.org:80:80",
    f"{ID}.envs.example.org, evil.example",
    "127.0.0.1:8000",
    "[::1]:8000",
    "[::1]",
    "localhost",
]
OF_NOBODY = [
    f"a.{ID}.envs.example.org",
    ".envs.example.org",
    "..envs.example.org",
    "-abc.envs.example.org",
    "abc-.envs.example.org",
    "a_b.envs.example.org",
    "a b.envs.example.org",
    "*.envs.example.org",
    "user@abc.envs.example.org",
    "a%2eb.envs.example.org",
    "x,abc.envs.example.org",
    "a/b.envs.example.org",
    "b\u00fccher.envs.example.org",
    "a" * 64 + ".envs.example.org",
    "[::1].envs.example.org",
]


@pytest.mark.parametrize("host", OF_AN_ENVIRONMENT)
def test_a_host_below_the_domain_is_one_environments(host: str) -> None:
    assert HOSTS.environment_at(host.encode()) == ID.encode()


@pytest.mark.parametrize("host", OF_THE_SERVICE)
def test_the_domain_itself_and_all_others_are_the_services(host: str) -> None:
    assert HOSTS.environment_at(host.encode()) is None


@pytest.mark.parametrize("host", OF_NOBODY)
def test_a_host_that_can_be_no_environments_is_refused(host: str) -> None:
    with pytest.raises(Refusal) as caught:
        HOSTS.environment_at(host.encode("latin-1"))

    assert caught.value.error.status == 404


@given(st.binary(max_size=40), st.sampled_from((b"", b".")), st.sampled_from((b"", b":", b":80")))
def test_only_a_single_label_before_the_domain_names_an_environment(
    label: bytes, dot: bytes, port: bytes
) -> None:
    host = label + b".envs.example.org" + dot + port
    try:
        found = HOSTS.environment_at(host)
    except Refusal:
        return

    assert found == label.lower()
    assert found
    assert found.replace(b"-", b"").isalnum()


@given(st.from_regex(rb"[a-z0-9]{1,63}", fullmatch=True), st.binary(max_size=30))
def test_where_an_environment_is_said_to_be_it_is_found(label: bytes, seen_host: bytes) -> None:
    assert HOSTS.environment_at(HOSTS.host_of(label, seen_host)) == label
    assert HOSTS.environment_at(HOSTS.name_of(label)) == label


@pytest.mark.parametrize(
    ("seen_host", "host"),
    [
        (b"lab.example:8000", b"abc.envs.example.org:8000"),
        (b"lab.example", b"abc.envs.example.org"),
        (b"[::1]:8000", b"abc.envs.example.org:8000"),
        (b"[::1]", b"abc.envs.example.org"),
        (b"lab.example:", b"abc.envs.example.org"),
        (b"lab.example:80x", b"abc.envs.example.org"),
        (b"", b"abc.envs.example.org"),
    ],
)
def test_an_environment_has_the_port_under_which_the_service_is_seen(
    seen_host: bytes, host: bytes
) -> None:
    assert HOSTS.host_of(b"abc", seen_host) == host


@pytest.mark.parametrize(
    ("configured", "scheme", "seen_host", "origin"),
    [
        ("", b"http", b"abc.envs.example.org:8000", "http://envs.example.org:8000"),
        ("", b"https", b"abc.envs.example.org", "https://envs.example.org"),
        ("", b"javascript", b"abc.envs.example.org", "http://envs.example.org"),
        ("https://lab.example", b"http", b"abc.envs.example.org:8000", "https://lab.example"),
    ],
)
def test_the_service_is_where_it_was_said_to_be_or_at_the_domain(
    configured: str, scheme: bytes, seen_host: bytes, origin: str
) -> None:
    hosts = EnvironmentHosts("envs.example.org", configured)

    assert hosts.service_seen_from(scheme, seen_host) == origin


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"A.Example", b"a.example"),
        (b"a.example.:80", b"a.example"),
        (b"a.example:", b"a.example"),
        (b"a.example:x", b"a.example:x"),
        (b"[::1]:80", b"[::1]"),
        (b"[::1]", b"[::1]"),
        (b"", b""),
    ],
)
def test_a_name_is_compared_without_case_port_and_trailing_dot(host: bytes, name: bytes) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"/x", b"a.example"),
        (b"/http://b.example/", b"a.example"),
        (b"http://a.example/x", b"a.example"),
        (b"HTTP://A.example:80/x", b"a.example:8000"),
        (b"https://a.example.?x", b"a.example"),
        (b"http:///x", b""),
    ],
)
def test_a_target_and_a_host_that_agree_are_let_pass(target: bytes, host: bytes) -> None:
    check_authority(target, host)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://b.example/x", b"a.example"),
        (b"http://b.example", b"a.example"),
        (b"http://a.example@b.example/x", b"a.example"),
        (b"http://a.example/x", b""),
        (b"http:///x", b"a.example"),
        (b"http://b.example?a.example/", b"a.example"),
    ],
)
def test_a_target_and_a_host_that_differ_are_refused(target: bytes, host: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        check_authority(target, host)

    assert caught.value.error.status == 400
