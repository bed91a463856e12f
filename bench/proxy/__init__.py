"""The data path beside nginx, haproxy and configurable-http-proxy.

Each proxy is one process on one processor, in front of the same backend; load
and backend have the other processors. :mod:`bench.proxy.scenarios` says what is
measured, :mod:`bench.proxy.run` measures it: one second of one proxy, then of
the next, and so round after round, so that what disturbs the machine disturbs
them all. A proxy's cost is the processor time of its own processes.

:mod:`bench.proxy.load` makes visitors, :mod:`bench.proxy.backends` what they
visit; :mod:`bench.proxy.accounts` reads what was used, and what others used
meanwhile. The rest is pure: :mod:`bench.proxy.rows` holds what was measured,
:mod:`bench.proxy.noise` says when it tells nothing, :mod:`bench.proxy.targets`
compares it with what is to be reached, :mod:`bench.proxy.table` shows it.
"""
