"""Every key that tmpenv keeps in Redis, in one place.

All keys of an instance share the prefix ``tmpenv:{<instance>}:``, whose hash
tag keeps them in one slot, so that one script may change several. Behind it:

=========================  ======  ========  ================================================
key                        type    lives     holds
=========================  ======  ========  ================================================
``env:<id>``               hash    a day     one environment's record: identity, phase, version,
                                   after     address, reason, and the four activity clocks (ms)
                                   its end
``in:<template>:<phase>``  zset    for ever  ids in that phase, by when they entered it (ms)
``templates``              set     for ever  templates that ever had an environment
``addresses``              hash    for ever  ``<host> <port>`` → id of the environment there
``queue:<template>``       zset    for ever  tickets that wait, in the order they came
``ticket:<id>``            hash    1 hour    one launch: its template and environment; a lasting one
                                             is kept for a day after its end
``tickets``                zset    for ever  launches not fetched yet, by when last asked for (ms)
``ended``                  zset    a day     environments and lasting launches that ended, by when
                                             they did (ms)
``live:<caller>``          zset    while    what a caller has: ids of environments (score inf), and
                                   any       tickets that wait, by when they are forgotten (ms)
``live:<caller>:<templ.>`` zset    while    the same, of one template
                                   any
``launches:<caller>``      zset    1 hour   its launches of the last hour, by when they were (ms)
``sequence``               number  for ever  the last place given out in any queue
``trouble:<template>``     hash    a day     failed starts in a row, the reason, the next try
``progress:<template>``    string  1 minute  what is being prepared, for people
``preload:<template>``     string  a day     how its last preload went, as JSON
``lease:<name>``           hash    for ever  who may run the loops, its fence, until when
``drain``                  hash    for ever  whether nothing is handed out (``state``: on, done
                                             or off), since when, its number, the last that ended
``replicas``               hash    for ever  process → until when it is there, its settings
``secret``                 string  for ever  what environments' tokens are derived from
``complete``               flag    for ever  that every environment of the backend has a record
``events``                 channel           each change of a phase, as JSON
``recipes``                hash    for ever  template that was put → its version and, as JSON,
                                             when it was put (ms), template and pool
``recipes:sequence``       number  for ever  the last version given to any of them
``recipes:changed``        channel           each template that was put or removed
``apikeys``                hash    for ever  name of an API key → its hash, scopes and times, as
                                             JSON
``build:<id>``             hash    as set    one build: what it is made from, how far it is, what
                                   after     came of it, the numbers of its log
                                   its end
``build:<id>:log``         stream  the same  what it said: number of the line → text, stage and step
                                             (``e``), and when (``t``, ms)
``builds:latest``          hash    for ever  name → id of its latest build
``builds:sequence``        number  for ever  the last id given to any
``builds:turns``           list    for ever  callers whose builds wait, in their turn
``builds:waiting:<call.>`` list    while    ids of the builds of one that wait, as they came
                                   any
``builds:running``         zset    for ever  ids of those that run, by when they began (ms)
``builds:made:<name>``     list    for ever  what builds wrote into a template beside its image
``builds:changed``         channel           id of each build that changed, or said something
``routes``                 hash    for ever  ``tmpenv proxy``: prefix → what was put, as JSON
``routes:used``            hash    for ever  prefix → when it was last used, or put (ms)
``routes:origin``          string  for ever  tells whether the store was emptied meanwhile
``routes:changed``         channel           each prefix that was put or taken away
=========================  ======  ========  ================================================

A caller is a keyed hash (``Tokens.caller``): no address is kept here. It stands on a ticket,
and on a record as long as the environment is its visitor's.

The names are built in ``lua/prelude.lua``; what Python itself reads is here.
"""

from dataclasses import dataclass

from spawner.model import Phase

PROGRESS_TTL_S = 60


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of one instance's keys."""

    instance: str

    @property
    def prefix(self) -> str:
        """Give what all keys begin with."""
        return f"tmpenv:{{{self.instance}}}:"

    @property
    def events(self) -> str:
        """Name the channel of changes."""
        return f"{self.prefix}events"

    @property
    def templates(self) -> str:
        """Name the set of templates that ever had an environment."""
        return f"{self.prefix}templates"

    @property
    def secret(self) -> str:
        """Name the key of the secret."""
        return f"{self.prefix}secret"

    @property
    def complete(self) -> str:
        """Name the mark of a store that knows all environments."""
        return f"{self.prefix}complete"

    @property
    def recipes(self) -> str:
        """Name the templates that were put while tmpenv runs."""
        return f"{self.prefix}recipes"

    @property
    def builds(self) -> str:
        """Give what the keys of all builds begin with."""
        return f"{self.prefix}builds"

    def build(self, build_id: str) -> str:
        """Name one build's record."""
        return f"{self.prefix}build:{build_id}"

    def build_log(self, build_id: str) -> str:
        """Name what one build said."""
        return f"{self.build(build_id)}:log"

    @property
    def ended(self) -> str:
        """Name the set of what ended lately."""
        return f"{self.prefix}ended"

    @property
    def routes(self) -> str:
        """Name the routes of ``tmpenv proxy``."""
        return f"{self.prefix}routes"

    def environment(self, environment_id: str) -> str:
        """Name one environment's record."""
        return f"{self.prefix}env:{environment_id}"

    def phase(self, template: str, phase: Phase) -> str:
        """Name the set of a template's environments in one phase."""
        return f"{self.prefix}in:{template}:{phase}"

    def preload(self, template: str) -> str:
        """Name what is known of a template's last preload."""
        return f"{self.prefix}preload:{template}"

    def progress(self, template: str) -> str:
        """Name the line that says what is being prepared."""
        return f"{self.prefix}progress:{template}"
