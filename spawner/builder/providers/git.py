"""Any other host that serves git over https."""

from spawner.builder.addresses import RepositoryAddress
from spawner.builder.model import Source
from spawner.builder.providers.base import make_source, without_git
from spawner.errors import BadSource


class Git:
    """Repositories by nothing but their address, where case makes a difference."""

    name = "git"

    def read(self, address: RepositoryAddress, ref: str) -> Source:
        """Say what an address means; there is none that it does not take."""
        if address.has_query:
            raise BadSource("The address has a query, which no repository has; write it without.")
        *above, repository = address.segments
        return make_source(
            self.name,
            # Servers tell names with and without ".git" apart, so it stays as it was written.
            url="/".join((address.origin, *address.segments)),
            authority=address.authority,
            path="/".join((*above, without_git(repository))),
            ref=ref,
        )
