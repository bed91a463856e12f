"""Who would be culled now and why, and culling now, for the operator.

The judgement is the culler's own; nothing of it is decided here.
"""

from aiohttp import web

from culler.loop import Finding
from culler.policy import last_use
from web.answers import FindingAnswer, SurveyAnswer
from web.auth import require_scope
from web.context import CULLER
from web.operations import Operations
from web.scopes import Scope
from web.views import timestamp

api = Operations("culling", plain=True)


@api.get("/api/cull", scope=Scope.ADMIN, answer=SurveyAnswer)
async def survey(request: web.Request) -> web.Response:
    """Say of every environment that was handed out whether it would go; end none."""
    require_scope(request, Scope.ADMIN)
    return _answer(await request.app[CULLER].survey())


@api.post("/api/cull", scope=Scope.ADMIN, answer=SurveyAnswer)
async def cull(request: web.Request) -> web.Response:
    """Look now, as the culler does at its interval, and say the same and who was ended."""
    require_scope(request, Scope.ADMIN)
    return _answer(await request.app[CULLER].look())


routes = api.routes


def _answer(findings: list[Finding]) -> web.Response:
    body: SurveyAnswer = {"environments": [_view(finding) for finding in findings]}
    return web.json_response(body, headers={"Cache-Control": "no-store"})


def _view(finding: Finding) -> FindingAnswer:
    environment, verdict = finding.environment, finding.verdict
    used = last_use(environment, finding.policy.counts)
    return {
        "id": environment.id,
        "template": environment.template,
        "goes": finding.goes,
        "ended": finding.is_ended,
        "reason": verdict.reason if verdict else "",
        "kept_by": finding.kept.why if finding.kept else "",
        "last_used_at": timestamp(used),
        "idle_s": round(max(0.0, (finding.at - used).total_seconds()), 1),
        "due_at": timestamp(finding.due),
        "due_in_s": None
        if finding.due is None
        else round(max(0.0, (finding.due - finding.at).total_seconds()), 1),
    }
