"""The contract of the data path, one promise a line.

Each promise has an id, ``<section>.<number>``, and the names of the tests that hold
us to it begin with that: ``test_2_25_…`` for 2.25. ``tests/unit/test_promises.py``
sees that no promise is without a test, and no such test without a promise.
"""

import re
from enum import Enum
from typing import NamedTuple

_ID_IN_NAME = re.compile(r"test_(\d+)_(\d+)_[a-z]")


class Kind(Enum):
    """Of whom a promise can be expected."""

    ANY = "of every reverse proxy"
    OURS = "of what hands out environments"


class Promise(NamedTuple):
    id: str
    wording: str
    kind: Kind


SECTIONS = {
    1: "Whose request it is",
    2: "Messages",
    3: "Headers",
    4: "Origins",
    5: "Errors of the edge",
    6: "WebSocket",
    7: "Activity",
    8: "configurable-http-proxy's REST API",
    9: "TLS",
}

_ANY = {
    "1.1": "The raw path decides, on segment boundaries",
    "1.2": "An encoded path is another path",
    "1.3": "A dot segment, encoded or not, is 400 and reaches nobody",
    "1.4": "Path and query are forwarded byte for byte",
    "1.5": "Broken escapes, `%00`, NUL and raw non-ASCII are 400",
    "1.6": "A path that begins with `//` has its runs of slashes merged",
    "1.7": "Any other `//` stays",
    "1.8": "A target in absolute form is routed by its path; its host is never dialled",
    "1.9": "`CONNECT`, `TRACE` and `OPTIONS *` are 400 or 405",
    "1.10": "Odd names are not found, and break nothing",
    "2.1": "A chunked body is one request, whatever the method",
    "2.2": "Repeated or differing Content-Length is 400",
    "2.3": "Content-Length with Transfer-Encoding is 400",
    "2.4": "A Transfer-Encoding other than `chunked` is 400",
    "2.5": "Transfer-Encoding in HTTP/1.0 is 400",
    "2.6": "A bare LF is 400",
    "2.7": "A folded line is 400",
    "2.8": "A space before the colon is 400",
    "2.9": "NUL or CR in a value is 400",
    "2.10": "A missing or repeated Host is 400",
    "2.11": "A chunk with a bad size or end is 400, and its request never looks whole",
    "2.12": "HTTP/1.2 and HTTP/2's preface are 400",
    "2.13": "Chunk extensions do no harm",
    "2.14": "Trailers are never merged into a head",
    "2.15": "A request head of 32 KiB or 200 headers is the longest: 431",
    "2.16": "A URL of 16 KiB is the longest: 414",
    "2.17": "A response head of 64 KiB is the longest: 502",
    "2.18": "A head that dribbles is 408 within 30 s, or what is set",
    "2.19": "A body that stalls is 408 within 120 s, or what is set",
    "2.20": "Pipelined requests are answered in order",
    "2.21": "What is pipelined is held in bounded memory",
    "2.22": "An upload streams, no faster than it is read",
    "2.23": "A download streams, no faster than it is read",
    "2.24": "1 GiB up or down takes no memory",
    "2.25": "An event arrives when it is sent",
    "2.26": "`Expect: 100-continue` works",
    "2.27": "Interim responses (103) are relayed",
    "2.28": "HEAD, 204 and 304 have no body, whatever the target says",
    "2.29": "A body that ends with its connection arrives whole",
    "2.30": "An HTTP/1.0 response arrives whole",
    "2.31": "An HTTP/1.0 client gets what it asked for",
    "2.32": "A client that asks to close is closed",
    "2.33": "A client's connection outlives its target's",
    "2.34": "An idle connection is kept for 75 s, or what is set",
    "2.35": "Connections to a target are used again",
    "2.37": "They are closed when the route goes",
    "2.38": "A stale one is replaced once, for GET and HEAD",
    "2.39": "It is not once a byte of a response has come",
    "2.40": "POST is sent at most once",
    "2.41": "A response that breaks off ends the client's connection at once",
    "2.42": "A client that leaves ends its request at the target at once",
    "3.1": "Hop-by-hop headers of requests end here",
    "3.2": "Hop-by-hop headers of responses end here",
    "3.3": "What `Connection` names ends here, both ways",
    "3.4": "Host, Cookie, Authorization and the framing stay, even if named there",
    "3.5": "What a client claims of where it comes from is dropped",
    "3.7": "`X-Forwarded-For`, `-Proto` and `-Host` are set",
    "3.8": "`X-Forwarded-Prefix` is set",
    "3.9": "A trusted proxy's are appended to",
    "3.10": "Order, case and repetition of headers are kept, both ways",
    "3.11": "No `Server` is added",
    "5.8": "A refused connection is 502",
    "5.9": "It is told within 100 ms, and tried once",
    "5.10": "A connection that is not made in time is 504",
    "5.11": "A response that does not come in time is 504; there is no limit by default",
    "5.12": "Garbage is 502, and nothing of it leaks",
    "5.13": "A response of two lengths is 502, and nothing of it leaks",
    "6.1": "Key, version, protocols, extensions, Origin and Cookie reach the target",
    "6.2": "Its protocol, extension and cookies reach the client",
    "6.3": "Its refusal reaches the client, with its body",
    "6.4": "Frames, fragments, pings and close codes cross untouched",
    "6.5": "What a client sends right behind its handshake arrives",
    "6.6": "What a target sends right behind its handshake arrives",
    "6.7": "At most 1 MiB waits in the proxy for each direction",
    "6.8": "Either side gone, the other is closed within 0.5 s, without a frame",
    "6.9": "A WebSocket may be idle for ever",
    "6.10": "TCP keep-alive is on, on both sides",
    "6.11": "GET with `Upgrade: websocket` makes a tunnel, in any case and company",
    "6.12": "Nothing else does: it is plain HTTP, without the upgrade",
    "6.13": "A refused upgrade leaves no tunnel and no descriptor",
    "9.1": "A listener with a certificate speaks TLS, and nothing else",
    "9.2": "The certificate is read again on SIGHUP",
    "9.3": "TLS 1.2 is the oldest",
    "9.4": "Targets' certificates are verified",
    "9.5": "`--insecure` turns that off",
}

_OURS = {
    "1.11": "A host `<id>.<environments-domain>` is that environment, whole path",
    "1.12": "A mount prefix is kept by every redirect, cookie path, link and URL",
    "2.36": "Connections to a target are never shared between environments",
    "3.6": "The service's own cookies reach no environment",
    "3.12": "A cookie with a Domain, or a Path outside the prefix, is dropped",
    "3.13": "A `Service-Worker-Allowed` wider than the prefix is dropped",
    "3.14": "What speaks for the whole site (HSTS, `Clear-Site-Data`, …) is dropped",
    "3.15": "Each of these can be allowed",
    "3.16": "`Location` is rewritten where it names the environment's own address, only there",
    "4.1": "The edge answers for origins on every status, its own errors too",
    "4.2": "It answers on upgrades",
    "4.3": "Preflights are 204 and reach nobody",
    "4.4": "They allow what Jupyter's clients use, for some time",
    "4.5": "`Vary: Origin` is there",
    "4.6": "There is exactly one Allow-Origin",
    "4.7": "An origin outside the list gets none",
    "4.8": "`*` allows all",
    "5.1": "An id that is unknown or ended is 410",
    "5.2": "Scripts read of it as JSON",
    "5.3": "Navigations get a page, with a way to a new one",
    "5.4": "A WebSocket gets the 410 as HTTP",
    "5.5": "One that starts is 503 with Retry-After",
    "5.6": "Its page goes on by itself",
    "5.7": "One that drains is 410",
    "5.14": "A stale tab costs a cached answer",
    "6.14": "Where there is a session cookie, an upgrade from elsewhere is 403, seen by nobody",
    "6.15": "What guards HTTP guards WebSocket",
    "7.1": "A hand-out sets all clocks",
    "7.2": "The beginning of a request moves `http`",
    "7.3": "Bytes of its body move `http`",
    "7.4": "The end of its response moves `http`",
    "7.5": "Known polls move `control` alone",
    "7.6": "A client's data frames move `ws_in`",
    "7.7": "An environment's data frames move `ws_out`",
    "7.8": "Events and long downloads move `ws_out`",
    "7.9": "Pings, pongs, close frames and upgrades move `control` alone",
    "7.10": "`http` and `ws_in` count, unless set otherwise",
    "7.11": "Frames are told apart however they are cut, and whatever they carry",
    "7.12": "The store is written to once a second at most, for all in one step",
    "7.13": "Open requests, WebSockets and bytes are counted",
    "8.1": "All routes can be read, the root too, each with its own keys",
    "8.2": "One route can be read, or is 404",
    "8.3": "A route is put: 201, empty",
    "8.4": "What is no JSON with a target is 400",
    "8.5": "A target that is no http, https or unix URL is 400",
    "8.6": "A route is taken away: 204, or 404",
    "8.7": "Without the token it is 403",
    "8.8": "The token is looked at before the body is read",
    "8.9": "A body of 1 MiB is the longest",
    "8.10": "Keys are stored decoded",
    "8.11": "A trailing slash makes no difference",
    "8.12": "`inactive_since` picks by last activity",
    "8.13": "`--default-target`",
    "8.14": "`--error-target`",
    "8.15": "`--error-path`",
    "8.16": "`--no-include-prefix` and `--no-prepend-path`",
    "8.17": "`--host-routing`",
    "8.18": "`--ip` and `--api-ip`",
    "8.19": "`--metrics-port`",
    "8.20": "A JupyterHub runs on it, unmodified",
    "8.21": "`/_chp_healthz` says that it is alive",
    "9.6": "`tmpenv serve` has all of this too",
}


def _order(promise: Promise) -> tuple[int, ...]:
    return tuple(int(part) for part in promise.id.split("."))


PROMISES = sorted(
    [Promise(id_, wording, Kind.ANY) for id_, wording in _ANY.items()]
    + [Promise(id_, wording, Kind.OURS) for id_, wording in _OURS.items()],
    key=_order,
)
BY_ID = {promise.id: promise for promise in PROMISES}


def promise_of(test: str) -> str:
    """Return the id in a test's name, empty if it has none."""
    found = _ID_IN_NAME.match(test)
    return f"{found[1]}.{found[2]}" if found else ""
