"""How environments and pools look in JSON. Never a token: who gets one is decided elsewhere."""

from datetime import UTC, datetime

from culler.policy import CullingSettings, policy_of
from spawner.model import DrainStatus, Environment, Phase, Pool, PoolStatus, Template
from web.answers import DrainAnswer, EnvironmentAnswer, PoolAnswer
from web.origin import Origin


def expires_at(
    environment: Environment, template: Template | None, settings: CullingSettings
) -> datetime | None:
    """Say when an environment will be ended however busy it is; None for never or not yet."""
    max_age = policy_of(template, settings).max_age
    if environment.assigned_at is None or max_age is None:
        return None
    return environment.assigned_at + max_age


def environment_view(
    environment: Environment,
    *,
    origin: Origin,
    used: datetime | None,
    expires: datetime | None,
) -> EnvironmentAnswer:
    """Show one environment."""
    return {
        "id": environment.id,
        "template": environment.template,
        "phase": environment.phase.value,
        "reason": environment.reason,
        "detail": environment.detail,
        "url": environment.base_path,
        "base_url": origin.url(environment.base_path),
        "created_at": timestamp(environment.created_at),
        "phase_at": timestamp(environment.phase_at),
        "assigned_at": timestamp(environment.assigned_at),
        "last_used_at": timestamp(used),
        "expires_at": timestamp(expires),
    }


def pool_view(status: PoolStatus, template: Template | None, pool: Pool | None) -> PoolAnswer:
    """Show one pool."""
    trouble = status.trouble
    return {
        "template": status.template,
        "title": title_of(template) if template else status.template,
        "size": pool.size if pool else 0,
        "spare": pool.target if pool else 0,
        "waiting": status.waiting,
        "progress": status.progress,
        "phases": {phase.value: status.counts.get(phase, 0) for phase in _SHOWN},
        "trouble": None
        if trouble is None
        else {
            "failures": trouble.failures,
            "reason": trouble.reason,
            "retry_after_s": round(trouble.retry_after.total_seconds(), 1),
        },
    }


def drain_view(status: DrainStatus) -> DrainAnswer:
    """Show whether the instance is drained, and how much is left."""
    return {
        "draining": status.is_on,
        "since": timestamp(status.since),
        "environments": status.environments,
        "waiting": status.waiting,
    }


def title_of(template: Template) -> str:
    """Give what people call a template."""
    return template.title or template.name


def timestamp(moment: datetime | None) -> str | None:
    """Write a moment as clients in every language read it (RFC 3339, UTC)."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_SHOWN = tuple(phase for phase in Phase if phase is not Phase.STOPPED)
