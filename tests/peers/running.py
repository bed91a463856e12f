"""Start a peer by its name."""

from collections.abc import Mapping

from tests.peers.others import ConfigurableHttpProxy, Haproxy, Nginx
from tests.peers.ours import Tmpenv, TmpenvProxy
from tests.peers.peer import Peer

#: In the order in which they are measured and shown.
PEERS: Mapping[str, type[Peer]] = {
    peer.name: peer for peer in (Nginx, Haproxy, ConfigurableHttpProxy, Tmpenv, TmpenvProxy)
}
