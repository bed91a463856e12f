"""What an address that is listened on means to people."""

import ipaddress


def public_url(host: str, port: int, path: str = "/", *, is_secure: bool = False) -> str:
    """Give an address that can be clicked on this machine."""
    if host in ("", "0.0.0.0", "::") or is_loopback(host):  # noqa: S104  # read, not bound
        host = "localhost"
    shown = f"[{host}]" if ":" in host else host
    scheme, usual = ("https", 443) if is_secure else ("http", 80)
    return f"{scheme}://{shown}{path}" if port == usual else f"{scheme}://{shown}:{port}{path}"


def every_if_unset(host: str) -> str | None:
    """Give what is listened on for a flag's value: None, all addresses, for nothing and ``*``."""
    return None if host in ("", "*") else host


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
