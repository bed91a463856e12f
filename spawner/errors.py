"""The failures that callers tell apart.

::

    ServiceError
    ├── StoreUnavailable        Redis gave no answer
    ├── BackendUnavailable      the backend gave no answer: nothing is known
    │   └── BackendForbidden    it answered that we may not ask
    ├── ImageUnavailable        an image is not here and could not be pulled
    ├── StartFailed             the backend said that it cannot be run, or it died
    ├── StopFailed              the backend said that it cannot be ended
    ├── UnknownTemplate
    ├── TemplateDeclared        the configuration declares it: it cannot be changed here
    ├── TemplateChanged         it is not the version that was meant
    ├── UnsupportedService      it asks for a companion that the configuration does not have
    ├── UnknownEnvironment      never heard of, or ended
    ├── PoolFull                no spare and no room
    ├── Limited                 the caller, or all, have what they may have
    ├── Banned                  the caller's network may not use this
    ├── PoolFailing             environments of this template do not come up
    ├── Draining                nothing is handed out any more
    ├── LaunchTimedOut          none became ready in time
    ├── LaunchLapsed            the ticket was given up
    ├── KeyReused               an Idempotency-Key came with another request
    ├── KeyExists               there is an API key of this name
    ├── UnknownKey              there is none of this name
    ├── AlreadyBuilding         another build of the same image is going on
    ├── QueueFull               as many builds wait as may
    ├── BadSource               no repository that may be built
    ├── SourceUnavailable       where a repository lies gave no answer: nothing is known
    └── BuildFailed             an image could not be made; the build says why

The text of each may be told to a user. ``code`` is stable; what it means in
HTTP is decided by the web package.
"""

from datetime import timedelta


class ServiceError(Exception):
    """A failure whose text may be told to whoever asked."""

    code = "error"
    retry_after: timedelta | None = None


class StoreUnavailable(ServiceError):
    """Redis gave no answer; what was asked for may or may not have happened."""

    code = "store_unavailable"
    retry_after = timedelta(seconds=5)

    def __str__(self) -> str:
        return "The store does not answer at the moment; try again in a few seconds."


class BackendUnavailable(ServiceError):
    """The backend gave no answer; nothing is known of what it runs."""

    code = "backend_unavailable"
    retry_after = timedelta(seconds=10)


class BackendForbidden(BackendUnavailable):
    """The backend does not let us ask; somebody must change a permission."""

    code = "backend_forbidden"


class ImageUnavailable(ServiceError):
    """An image is not on this machine and could not be pulled."""

    code = "image_unavailable"

    def __init__(self, image: str, detail: str) -> None:
        super().__init__(f"The image {image} is not here and could not be pulled: {detail}")
        self.image = image


class StartFailed(ServiceError):
    """An environment could not be run, or ended before it was ready."""

    code = "start_failed"


class StopFailed(ServiceError):
    """The backend answered that it could not end or remove an environment."""

    code = "stop_failed"


class UnknownTemplate(ServiceError):
    """No template has this name."""

    code = "unknown_template"

    def __init__(self, name: str) -> None:
        super().__init__(f'There is no template "{name[:80]}".')
        self.name = name


class TemplateDeclared(ServiceError):
    """The configuration declares this template, so nothing else may change it."""

    code = "template_declared"

    def __init__(self, name: str) -> None:
        super().__init__(
            f'The template "{name[:80]}" is declared by the configuration of the server; '
            "change it there."
        )
        self.name = name


class TemplateChanged(ServiceError):
    """Somebody else changed this template meanwhile."""

    code = "template_changed"

    def __init__(self, name: str) -> None:
        super().__init__(f'The template "{name[:80]}" was changed meanwhile; look again.')
        self.name = name


class UnsupportedService(ServiceError):
    """A template asks for a service, version or parameter that the configuration does not have."""

    code = "unsupported_service"


class UnknownEnvironment(ServiceError):
    """No environment has this id, or it has ended."""

    code = "gone"

    def __init__(self, environment_id: str, reason: str = "") -> None:
        super().__init__("There is no such environment, or it has ended.")
        self.environment_id = environment_id
        self.reason = reason


class PoolFull(ServiceError):
    """Every place of the pool is taken."""

    code = "full"

    def __init__(self, template: str, retry_after: timedelta) -> None:
        super().__init__(f'Every environment of "{template}" is in use; try again later.')
        self.template = template
        self.retry_after = retry_after


class Limited(ServiceError):
    """A limit is reached: the caller's, or that of all callers together.

    ``limit`` is ``launches_per_hour``, ``environments``, ``template`` or ``total``.
    """

    code = "limited"
    #: Nobody knows when an environment ends.
    retry_after = timedelta(seconds=30)

    def __init__(
        self, template: str, limit: str, *, allowed: int, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(_LIMITED[limit].format(allowed=allowed, template=template))
        self.template = template
        self.limit = limit
        self.allowed = allowed
        #: Whether the wait is the caller's own, to the second.
        self.is_exact = retry_after is not None
        if retry_after is not None:
            self.retry_after = retry_after


_LIMITED = {
    "launches_per_hour": "At most {allowed} can be launched within an hour from where you are.",
    "environments": "At most {allowed} can be in use at once from where you are.",
    "template": 'At most {allowed} of "{template}" can be in use at once from where you are.',
    "total": "Every place of this service is taken; try again later.",
}


class Banned(ServiceError):
    """The caller's network is on the operator's list."""

    code = "banned"

    def __init__(self, network: str) -> None:
        super().__init__("The operator of this service has closed it to your network.")
        self.network = network


class PoolFailing(ServiceError):
    """Environments of this template do not come up; the next try is later."""

    code = "failing"

    def __init__(self, template: str, reason: str, retry_after: timedelta) -> None:
        super().__init__(f'Environments of "{template}" do not start: {reason}')
        self.template = template
        self.reason = reason
        self.retry_after = retry_after


class Draining(ServiceError):
    """Nothing is handed out until the service starts anew, or the drain is taken back."""

    code = "draining"
    retry_after = timedelta(minutes=1)

    def __str__(self) -> str:
        return "No new environments are given out at the moment; those that run go on."


class LaunchTimedOut(ServiceError):
    """No environment became ready while the caller waited."""

    code = "launch_timeout"
    retry_after = timedelta(seconds=10)

    def __str__(self) -> str:
        return "No environment became ready in time; try again."


class LaunchLapsed(ServiceError):
    """Nobody asked for this launch for so long that it was given up."""

    code = "launch_lapsed"

    def __str__(self) -> str:
        return "This launch was given up because nobody waited for it; start a new one."


class KeyReused(ServiceError):
    """One Idempotency-Key came with two different requests."""

    code = "key_reused"

    def __str__(self) -> str:
        return "This Idempotency-Key was used for another template; use a new key."


class KeyExists(ServiceError):
    """There is an API key of this name, which may have expired."""

    code = "key_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f'There is a key "{name}" already; revoke it, or choose another name.')


class UnknownKey(ServiceError):
    """There is no API key of this name."""

    code = "unknown_key"

    def __init__(self, name: str) -> None:
        super().__init__(f'There is no key "{name[:80]}".')


class BadSource(ServiceError):
    """What was named is no repository that may be built, or has no such branch or commit."""

    code = "bad_source"


class SourceUnavailable(ServiceError):
    """Where a repository lies gave no answer; it may be there."""

    code = "source_unavailable"
    retry_after = timedelta(seconds=10)


class AlreadyBuilding(ServiceError):
    """The image is being built from something else, or without being forced."""

    code = "already_building"

    def __str__(self) -> str:
        return "Already building the image"


class QueueFull(ServiceError):
    """As many builds wait as may."""

    code = "queue_full"
    retry_after = timedelta(minutes=1)

    def __str__(self) -> str:
        return "As many builds wait as may; try again later."


class BuildFailed(ServiceError):
    """An image could not be made; the text is the build's last word."""

    code = "build_failed"
