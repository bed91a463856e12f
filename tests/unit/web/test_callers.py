"""Who a request counts for, by what our edge says of where it came from."""

from ipaddress import ip_address, ip_network

import pytest

from web.callers import Network, _name, ban_of, client_ip
from web.config import LimitsSettings

PROXIES: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1, 10.1.1.1, fd00::7", "192.0.2.1"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"),
        ("192.0.2.1:51234, 10.0.0.1", "192.0.2.1"),
        ("[2001:db8::1]:443, 10.0.0.1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown, 10.0.0.1", "10.0.0.1"),
        ("192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"),
        (", 10.0.0.1", "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_who_is_no_trusted_proxy(forwarded: str, client: str) -> None:
    assert client_ip(forwarded, PROXIES) == ip_address(client)


@pytest.mark.parametrize("forwarded", ["", "unknown", "x, y"])
def test_who_has_no_address_is_nobody(forwarded: str) -> None:
    assert client_ip(forwarded, PROXIES) is None
    assert _name(None) == "unknown"


def test_a_household_of_ipv6_is_one_caller() -> None:
    names = {_name(ip_address(text)) for text in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2")}

    assert names == {"2001:db8:0:1::/64"}
    assert _name(ip_address("2001:db8:0:2::1")) not in names
    assert _name(ip_address("192.0.2.1")) != _name(ip_address("192.0.2.2"))


def test_what_is_allowed_is_not_banned() -> None:
    limits = LimitsSettings(allow=(ip_network("10.1.0.0/16"),), ban=(ip_network("10.0.0.0/8"),))

    assert ban_of(ip_address("10.1.2.3"), limits) is None
    assert ban_of(ip_address("10.2.2.3"), limits) == ip_network("10.0.0.0/8")
    assert ban_of(ip_address("192.0.2.1"), limits) is None
    assert ban_of(None, limits) is None
