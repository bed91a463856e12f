"""An hour of visitors in a minute or two, on real containers.

``schedule`` decides who comes when and what they are like (pure, from a seed),
``visitor`` is one of them, and ``run`` serves, watches and says what came of it.
"""
