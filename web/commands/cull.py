"""``tmpenv cull``."""

import json
from typing import Annotated, Any

import typer

from web.commands.asking import Tmpenv, asking
from web.commands.options import AsJson


@asking
def cull(
    tmpenv: Tmpenv,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say who would go, when and why; end none")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End the environments that have outlived their use now, not at the next interval.

    The rules are those that tmpenv culls by itself with, and kernels are asked
    as it asks them: nothing goes by this command that would not go anyhow.
    """
    answer = tmpenv.ask("GET" if dry_run else "POST", "/api/cull")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    elif dry_run:
        _show(answer["environments"])
    else:
        _show_ended(answer["environments"])


def _show(findings: list[dict[str, Any]]) -> None:
    # Imported here: rich takes longer to load than all the rest of this command.
    from web.status_tables import console_for_output, show_findings  # noqa: PLC0415

    show_findings(findings, console_for_output())


def _show_ended(findings: list[dict[str, Any]]) -> None:
    ended = [one for one in findings if one["ended"]]
    for one in ended:
        typer.echo(f"{one['id']}: ends ({one['reason']})")
    if not ended:
        typer.echo(f"None of {len(findings)} environments in use has outlived its use.")
