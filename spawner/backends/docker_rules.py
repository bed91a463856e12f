"""Write the host's firewall for one bridge, in nft's words: pure.

Everything that a container begins is judged once, as it leaves the bridge and before
any address is translated: so it makes no difference where it goes, and rules that
Docker or an operator has elsewhere can forbid more, but allow nothing that is
forbidden here. Answers to what was begun from outside pass.

Each bridge has a table of its own, which one transaction replaces: rules of others,
another tmpenv's among them, are never touched, and there is no instant without any.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import PRIVATE

#: Of the name of a bridge for companions: what its instance decides.
COMPANIONS_FAMILY = 7
Network = IPv4Network | IPv6Network
_TEMPLATE = """\
table inet {bridge} {{}}
delete table inet {bridge}
table inet {bridge} {{
  chain leaving {{
    type filter hook prerouting priority mangle; policy accept;
    iifname != "{bridge}" accept
    ct state established,related accept
{rules}
  }}
  chain crossing {{
    type filter hook forward priority mangle; policy accept;
    iifname "{bridge}" oifname "te-*" drop
  }}
}}
"""
#: One table for all networks of companions, which have names that begin alike: so a start
#: changes no rules. What is not on the very bridge it comes from has no way.
_COMPANIONS = """\
table inet {family} {{}}
delete table inet {family}
table inet {family} {{
  chain leaving {{
    type filter hook prerouting priority mangle; policy accept;
    iifname != "{family}*" accept
    ct state established,related accept
    fib daddr type != unicast drop
    fib daddr . iif oif missing drop
  }}
  chain crossing {{
    type filter hook forward priority mangle; policy accept;
    iifname != "{family}*" oifname "{family}*" drop
  }}
}}
"""
#: Without them an IPv6 neighbour, the gateway among them, is not found.
_DISCOVERY = "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept"
_TCP_OR_UDP = "meta l4proto { tcp, udp } th dport"


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network of ours as the firewall sees it."""

    name: str
    #: "open", "none", "listed", or "companions" for one of an environment's own.
    kind: str
    #: The host's own address on it.
    gateway: str

    @property
    def family(self) -> str:
        """Give how the names of all begin that have the same rules."""
        return self.name[:COMPANIONS_FAMILY] if self.kind == PRIVATE else self.name


def ruleset(bridge: Bridge, settings: DockerSettings) -> str:
    """Give the table of a bridge, in place of the one that is there."""
    if bridge.kind == PRIVATE:
        return _COMPANIONS.format(family=bridge.family)
    match bridge.kind:
        case "open":
            rules = [_DISCOVERY, *_open(settings)]
        case "listed":
            way_out = f"ip daddr {bridge.gateway} tcp dport {settings.egress_port} accept"
            rules = [way_out, "drop"]
        case _:
            rules = ["drop"]
    lines = "\n".join(f"    {rule}" for rule in rules)
    return _TEMPLATE.format(bridge=bridge.name, rules=lines)


def _open(settings: DockerSettings) -> Iterable[str]:
    if settings.host_ports:
        ports = _set(settings.host_ports)
        yield f"fib daddr type local {_TCP_OR_UDP} {ports} accept"
    # Whatever is no single host elsewhere: this machine, broadcasts, multicasts.
    yield "fib daddr type != unicast drop"
    # Networks that lie in each other are an error to nft.
    networks = settings.denied_networks
    collapsed: tuple[tuple[str, list[Network]], ...] = (
        ("ip", [*collapse_addresses(one for one in networks if isinstance(one, IPv4Network))]),
        ("ip6", [*collapse_addresses(one for one in networks if isinstance(one, IPv6Network))]),
    )
    for word, denied in collapsed:
        if denied:
            # Several clouds have their name servers there.
            yield f"{word} daddr {_set(denied)} {_TCP_OR_UDP} 53 accept"
            yield f"{word} daddr {_set(denied)} drop"


def _set(items: Iterable[object]) -> str:
    return f"{{ {', '.join(map(str, items))} }}"
