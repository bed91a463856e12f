"""Make ids, tokens and the name of this process.

An id is a capability: whoever knows it is in. Ids have 129 random bits, in
lower-case letters and digits, so that they also work as names of hosts.
"""

import hashlib
import hmac
import secrets

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 25


def new_id() -> str:
    """Make an id that nobody can guess and nobody had before."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def new_secret() -> str:
    """Make a secret from which tokens can be derived."""
    return secrets.token_hex(32)


class Tokens:
    """Derives each environment's own token from the instance's secret.

    Nothing has to be kept for it: an environment that was found again by its
    labels has the token that it was started with.
    """

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()

    def token(self, environment_id: str) -> str:
        """Give the token of one environment; 192 bits, hexadecimal."""
        digest = hmac.new(self._key, f"token:{environment_id}".encode(), hashlib.sha256)
        return digest.hexdigest()[:48]

    def session(self, environment_id: str) -> str:
        """Give what shows that a browser was given an environment; its token is another."""
        digest = hmac.new(self._key, f"session:{environment_id}".encode(), hashlib.sha256)
        return digest.hexdigest()[:48]

    def caller(self, name: str) -> str:
        """Give what stands for a caller where launches are counted; it tells nobody the name."""
        digest = hmac.new(self._key, f"caller:{name}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def egress(self, environment_id: str) -> str:
        """Give the key by which an environment is let out; its token is another."""
        digest = hmac.new(self._key, f"egress:{environment_id}".encode(), hashlib.sha256)
        return digest.hexdigest()[:48]

    def services(self, environment_id: str) -> str:
        """Give the key from which the passwords of an environment's companions derive."""
        digest = hmac.new(self._key, f"services:{environment_id}".encode(), hashlib.sha256)
        return digest.hexdigest()[:48]

    def ticket(self, scope: str, key: str) -> str:
        """Give the ticket of a caller's Idempotency-Key: the same for the same, else another's."""
        digest = hmac.new(self._key, f"ticket:{scope}:{key}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]
