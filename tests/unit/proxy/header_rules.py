"""Say which headers may cross a proxy (RFC 9110 §7.6.1), worked out apart from the proxy."""

from tests.unit.proxy.judges import Lines, Read

HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
#: Whoever names these in Connection is not heeded.
PROTECTED = {
    b"host",
    b"cookie",
    b"set-cookie",
    b"authorization",
    b"content-length",
    b"transfer-encoding",
}


def without_framing(headers: Lines) -> list[tuple[bytes, bytes]]:
    """Return ``headers`` without what says how a message is framed on this hop."""
    hop = (b"transfer-encoding", b"connection", b"upgrade")
    return [(name, value) for name, value in headers if name.lower() not in hop]


def connection_options(headers: Lines) -> set[bytes]:
    """Return what Connection lists, in lower case."""
    values = [value for name, value in headers if name.lower() == b"connection"]
    return {option.strip(b" \t").lower() for value in values for option in value.split(b",")}


def named_in_connection(headers: Lines) -> set[bytes]:
    """Return the headers that must not go further because Connection names them."""
    return connection_options(headers) - PROTECTED - {b"close"}


def asks_to_close(message: Read) -> bool:
    """Say whether its connection ends behind ``message`` (RFC 9112 §9.3)."""
    options = connection_options(message.headers)
    return b"close" in options or (message.version == b"1.0" and b"keep-alive" not in options)
