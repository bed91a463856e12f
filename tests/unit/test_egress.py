"""What the entries of a list of hosts mean, and what is no entry."""

from ipaddress import ip_address, ip_network

import pytest
from pydantic import ValidationError

from spawner.egress import Reach, is_public, parse
from spawner.model import Template


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("pypi.example.org", "pypi.example.org", 443),
        ("pypi.example.org", "PyPI.Example.Org.", 80),
        ("*.example.org", "a.example.org", 443),
        ("*.example.org", "a.b.example.org", 443),
        ("example.org:8443", "example.org", 8443),
        ("192.0.2.7", "192.0.2.7", 80),
        ("10.0.0.0/8:5432", "10.1.2.3", 5432),
        ("[2001:db8::7]:8443", "2001:db8::7", 8443),
        ("2001:db8::/32", "2001:db8:1::9", 443),
    ],
)
def test_what_is_listed_may_be_asked_for(entry: str, host: str, port: int) -> None:
    assert Reach([entry]).may_ask(host, port)


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("pypi.example.org", "pypi.example.org", 8080),
        ("pypi.example.org", "pypi.example.org.evil.org", 443),
        ("pypi.example.org", "x.pypi.example.org", 443),
        ("*.example.org", "example.org", 443),
        ("*.example.org", ".example.org", 443),
        ("*.example.org", "a..example.org", 443),
        ("*.example.org", "notexample.org", 443),
        ("example.org:8443", "example.org", 443),
        ("10.0.0.0/8", "11.0.0.1", 443),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 443),
        ("10.0.0.1", "0xa000001", 443),
        ("2001:db8::/32", "10.0.0.1", 443),
    ],
)
def test_what_is_not_listed_may_not(entry: str, host: str, port: int) -> None:
    assert not Reach([entry]).may_ask(host, port)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1"),
        *("ff02::1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "2002:a00:1::1"),
    ],
)
def test_a_name_leads_to_public_addresses_alone(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not Reach(["example.org"]).may_reach(ip_address(address), 443)


def test_a_public_address_is_reached_unless_its_network_is_denied() -> None:
    google, other = ip_address("8.8.8.8"), ip_address("2001:4860::8")
    reach = Reach(["example.org"], [ip_network("8.8.0.0/16")])

    assert Reach(["example.org"]).may_reach(google, 443)
    assert not reach.may_reach(google, 443)
    assert reach.may_reach(other, 443)


def test_a_private_address_is_reached_where_it_is_listed_as_such_and_on_that_port() -> None:
    reach = Reach(["example.org", "10.0.0.0/8:5432"], [ip_network("10.0.0.0/8")])

    assert reach.may_reach(ip_address("10.1.2.3"), 5432)
    assert not reach.may_reach(ip_address("10.1.2.3"), 443)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("*", "is no host"),
        ("", "is no host"),
        ("https://example.org", "is no host"),
        ("example.org/simple", "is no host"),
        ("a.*.org", "is no host"),
        ("user@example.org", "is no host"),
        ("10.0.0.300", "is no host"),
        ("bücher.example", "is no host"),
        ("example.org:0", "no port between 1 and 65535"),
        ("example.org:99999", "no port between 1 and 65535"),
        ("10.0.0.1/8", "is no network: .*host bits"),
    ],
)
def test_what_is_no_entry_is_told(entry: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(entry)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("closed", 'neither "open" nor "none"; write a list'),
        ([], 'the list is empty; write "none"'),
        ([1], "or a list of hosts"),
        (3, "or a list of hosts"),
        (["example.org", "*"], '"\\*" is no host'),
    ],
)
def test_a_template_with_another_egress_is_refused_once(value: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as refusal:
        Template(name="t", egress=value)  # type: ignore[arg-type]

    assert refusal.value.error_count() == 1


def test_a_changed_list_is_another_recipe() -> None:
    def digest(*hosts: str) -> str:
        return Template(name="t", egress=hosts).digest

    assert digest("example.org") == digest(" Example.org ")
    assert digest("example.org") != digest("example.org", "example.com")
    assert digest("example.org") != Template(name="t").digest
