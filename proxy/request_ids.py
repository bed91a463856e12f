"""Name requests, so that what is logged of one on either side of the proxy can be found.

A name tells nothing and opens nothing: it may be logged, shown and passed on.
"""

import re
import secrets
from collections.abc import Callable
from itertools import count

#: Gives the name of another request.
NewId = Callable[[], bytes]

_NAME = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


def request_ids() -> NewId:
    """Return what names the requests of one process, apart from those of all others."""
    origin = secrets.token_hex(6).encode()
    numbers = count(1)
    return lambda: b"%b-%x" % (origin, next(numbers))


def is_request_id(name: bytes) -> bool:
    """Say whether a name that another proxy gave can be taken over."""
    return _NAME.fullmatch(name) is not None
