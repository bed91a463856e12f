"""What an address that is listened on means to people."""

import ipaddress


def public_url(host: str, port: int, path: str = "/") -> str:
    """Give an address that can be clicked on this machine."""
    if host in ("", "0.0.0.0", "::") or is_loopback(host):  # noqa: S104  # read, not bound
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{path}" if port != 80 else f"http://{shown}{path}"


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
