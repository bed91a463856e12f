"""The data path: one public listener that moves bytes to environments.

Read in this order. Pure modules decide: :mod:`proxy.target` (whose path is
this), :mod:`proxy.hosts` (whose host), :mod:`proxy.guard` (who is let in),
:mod:`proxy.request_head` and :mod:`proxy.response_head` (strict heads,
rewritten as bytes), :mod:`proxy.framing` (where a body ends),
:mod:`proxy.frames` (where a WebSocket frame ends), :mod:`proxy.cors`,
:mod:`proxy.errors`, :mod:`proxy.routes`, :mod:`proxy.activity`.

:mod:`proxy.router` is what is asked where requests go; :mod:`proxy.environments`
answers for environments by their id, :mod:`proxy.host_router` where each has a host
of its own, :mod:`proxy.prefix_router` for prefixes.

The edge does I/O: :mod:`proxy.listener` accepts, :mod:`proxy.client` is one
visitor's connection, :mod:`proxy.exchange` one request with its response,
:mod:`proxy.upstream` the pooled connections to one target, and
:mod:`proxy.tunnel` what is left of both after an upgrade. :mod:`proxy.absence`
sees who left while nothing was read from them.

Several processes may serve one port (:mod:`proxy.sockets`): :mod:`proxy.workers`
runs them, talks to them over :mod:`proxy.channel`, and adds up what they count
(:mod:`proxy.counts`). :mod:`proxy.handover` gives the port to the next tmpenv.
"""
