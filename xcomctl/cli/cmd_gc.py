"""`xcomctl gc`: collect what is expired or orphaned."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.interruption import Interruption
from xcomctl.cli.options import ConnectionOptions, OutputOptions, TalkOptions, with_options
from xcomctl.cli.results import ACTION_COLUMNS, emit_outcome, emit_plan, require_columns, show_plan
from xcomctl.cli.scoping import (
    IgnoreArchives,
    MinAge,
    UnsafeMinAge,
    parse_age,
    parse_min_age,
    require_acceptances,
    resolve_roots,
)
from xcomctl.cli.stages import stages
from xcomctl.errors import PartialError, RefusedError, UsageError
from xcomctl.policy import Policy

if TYPE_CHECKING:
    from xcomctl.cli.progress import Talk
    from xcomctl.plan import Plan
    from xcomctl.render.columns import OutputStyle

_WHAT = "What may go"


@with_options
def gc(
    connection: ConnectionOptions,
    output: OutputOptions,
    talk: TalkOptions,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="D",
            help="Rows of runs that finished longer ago than this, such as 30d, with their objects.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    keep_last: Annotated[
        int | None,
        typer.Option(
            "--keep-last",
            metavar="N",
            min=0,
            max=1_000_000_000,
            help="Keep the newest N finished runs of each DAG; alone, all others go. 1 unless told otherwise.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    dag: Annotated[
        str | None,
        typer.Option("--dag", metavar="GLOB", help="Only XComs of these DAGs.", rich_help_panel=_WHAT),
    ] = None,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans/--no-orphans", help="Also objects that no row references.", rich_help_panel=_WHAT
        ),
    ] = True,
    min_age: MinAge = "24h",
    unsafe_min_age: UnsafeMinAge = False,
    ignore_archives: IgnoreArchives = False,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="GUARD=VALUE",
            help="Overrule a guard by its exact value, as the refusal says it.",
            rich_help_panel="Consent",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, delete nothing.", rich_help_panel="Consent")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before deleting.", rich_help_panel="Consent")
    ] = False,
) -> None:
    """Collect garbage: expired rows with their objects, and orphaned objects.

    The plan is shown first; on a terminal you are asked, elsewhere nothing is deleted without --yes. Objects that
    a row references are never touched, and both sides are asked again right before each deletion.

    Examples:

        xcomctl gc --older-than 30d --dry-run

        xcomctl gc --older-than 30d --yes

        xcomctl gc --dag 'scratch_*' --keep-last 5
    """
    style = output.style()
    require_columns(ACTION_COLUMNS, style)
    policy = Policy(
        older_than=None if older_than is None else parse_age("--older-than", older_than),
        keep_last=keep_last,
        dag=dag,
    )
    if not orphans and not policy.expires_anything:
        raise UsageError(
            "--no-orphans leaves nothing to collect", hint="xcomctl gc --no-orphans --older-than 30d"
        )
    grace = parse_min_age(min_age, unsafe_min_age)
    require_acceptances(accept or ())
    voice = talk.talk()
    with Interruption() as interruption, connection.open() as session:
        roots = resolve_roots(session, voice)
        store = session.store if roots else None

        from xcomctl.apply import Outcome, apply_plan
        from xcomctl.collect import Scope, plan_collection

        scope = Scope(
            roots=roots, policy=policy, orphans=orphans, ignore_archives=ignore_archives, min_age=grace
        )
        with stages(voice) as report:
            plan = plan_collection(
                session.source,
                store,
                session.dialects,
                scope,
                now=datetime.now(timezone.utc),
                accepted=accept or (),
                report=report,
            )
        if dry_run or style.format == "table":
            emit_plan(plan, style)
        outcome = Outcome()
        if not dry_run and plan.is_empty:
            voice.note("nothing to collect")
            if style.format != "table":
                emit_outcome(plan, outcome, style)
            return
        if not _consent(plan, voice, style, dry_run=dry_run, yes=yes):
            return
        try:
            with stages(voice) as report:
                apply_plan(
                    plan,
                    session.source,
                    store,
                    session.dialects,
                    roots=roots,
                    ignore_archives=ignore_archives,
                    outcome=outcome,
                    report=interruption.between_batches(report),
                )
        except BaseException:
            # What was deleted before it broke must not go unsaid.
            voice.note(
                f"cut short after {outcome.rows['deleted']} rows and {outcome.objects['deleted']} objects were deleted",
                hint="run the same command again to finish",
            )
            raise
        emit_outcome(plan, outcome, style)
    if outcome.failed:
        raise PartialError(
            f"{outcome.failed} objects could not be deleted", hint="run the same command again"
        )


def _consent(plan: Plan, talk: Talk, style: OutputStyle, *, dry_run: bool, yes: bool) -> bool:
    """Whether the plan is to be applied. Raises RefusedError for a guard, UsageError where nobody can be asked."""
    from xcomctl.render.plans import plan_summary

    refused = plan.refusals
    if dry_run:
        # The table says it itself.
        for guard in refused if style.format != "table" else ():
            talk.note(f"applying this would be refused by {guard.id}: {guard.cause}")
        talk.note(f"dry run: nothing was deleted; applying it would delete {plan_summary(plan)}")
        return False
    if refused:
        overrule = " ".join(f"--accept {guard.acceptance}" for guard in refused)
        raise RefusedError(
            f"refused by {', '.join(guard.id for guard in refused)}: {refused[0].cause}; nothing was deleted",
            hint=f"check --db and --store; if this is meant, add {overrule}",
        )
    if yes:
        return True
    # A closed stdin is None.
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"nothing was deleted: {plan_summary(plan)} would go, and there is no terminal to ask at",
            hint="add --yes to delete, or --dry-run to see the plan",
        )
    if style.format != "table":
        show_plan(plan)
    if not typer.confirm(f"Delete {plan_summary(plan)}?", err=True):
        talk.note("nothing was deleted")
        return False
    return True
