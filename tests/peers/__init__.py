"""Other proxies, and ours, each as one process in front of one upstream.

:mod:`tests.peers.peer` is what they have in common, :mod:`tests.peers.others`
has nginx, haproxy and configurable-http-proxy, :mod:`tests.peers.ours` has
``tmpenv serve`` and ``tmpenv proxy``. :mod:`tests.peers.running` starts one by
its name.
"""
