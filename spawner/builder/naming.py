"""Name what is made of a source, so that no two sources ever share a name: pure.

The readable part is for people; what tells sources apart is the hash of the whole
identity behind it. So ``a-b/c`` and ``a/b-c`` differ, and so do the repository ``x`` at
its branch ``y`` and the repository ``x-y``.
"""

import base64
import hashlib
import json
import re

#: 60 bits: a thousand million sources share none.
_HASH_LETTERS = 12
_READABLE_LETTERS = 44
_OTHER = re.compile(r"[^a-z0-9]+")


def name_of(identity: tuple[str, ...], readable: str) -> str:
    """Give the name of the source that an identity stands for, valid for images and templates."""
    digest = hashlib.sha256(json.dumps(identity).encode()).digest()
    code = base64.b32encode(digest).decode().lower()[:_HASH_LETTERS]
    words = _OTHER.sub("-", readable.lower())[:_READABLE_LETTERS].strip("-")
    return f"{words or 'repository'}-{code}"
