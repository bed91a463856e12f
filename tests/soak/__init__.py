"""Many visitors come and go while environments do, and nothing of them is left.

:mod:`tests.soak.gauge` reads what the processes under test hold, partly by what
``inside/`` puts into them. :mod:`tests.soak.environment` is what environments run, and
:mod:`tests.soak.sites` lets them come and go. :mod:`tests.soak.visits` and
:mod:`tests.soak.mishaps` are what visitors do and what they may be answered.
"""
