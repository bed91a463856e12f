"""Give what an environment printed last, for logs, and for who wonders why it ended.

Jupyter prints its own address with the token in it. So what is told here of an
environment's output is told without its secrets.
"""

from dataclasses import dataclass

from spawner.backends.base import Backend
from spawner.errors import ServiceError
from spawner.identity import Tokens
from spawner.masking import masked
from spawner.model import Template
from spawner.services import password_of

_LINES = 20


@dataclass(frozen=True, slots=True)
class LastWords:
    """Reads the last lines of environments."""

    backend: Backend
    tokens: Tokens

    async def of(self, environment_id: str, template: Template | None) -> str:
        """Give its last lines without its keys and its template's variables; never fail."""
        try:
            printed = await self.backend.tail(environment_id, _LINES)
        except ServiceError:
            return ""
        secrets = [self.tokens.token(environment_id), self.tokens.egress(environment_id)]
        if template is not None:
            key = self.tokens.services(environment_id)
            secrets += [password_of(key, one.name) for one in template.services]
            secrets += template.env.values()
        return masked(printed, secrets)
