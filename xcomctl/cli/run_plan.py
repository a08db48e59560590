"""From a plan to what it did: shown, consented to, executed, told. The same for gc, apply and rm."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.cli.operations import begin_operation, can_be_asked, consent
from xcomctl.cli.results import emit_outcome, emit_plan, show_plan
from xcomctl.cli.stages import stages
from xcomctl.errors import LockedError, PartialError, RefusedError
from xcomctl.units import format_duration, format_time, parse_duration, quantity

if TYPE_CHECKING:
    from xcomctl.cli.operations import Interruption
    from xcomctl.cli.output.columns import OutputStyle
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.gc.apply import Outcome
    from xcomctl.gc.plan import Guard, Plan
    from xcomctl.state.operation import Operation

_NOTHING = {"apply": "the plan does nothing", "rm": "no XCom matches"}


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How a plan is carried out: the word of the user, and the pace."""

    command: str
    """What the journal says was done: `gc`, `apply`, `rm`."""
    yes: bool
    dry_run: bool = False
    max_rate: int | None = None
    """Objects per second."""
    wait_lock: timedelta = timedelta(0)
    """How long somebody else's work on the store is waited for."""


def run_plan(
    plan: Plan,
    session: Session,
    options: ApplyOptions,
    *,
    style: OutputStyle,
    log: StderrLog,
    interruption: Interruption,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> None:
    """Show `plan`, ask, execute it, and write what became of it.

    `on_outcome` gets what was done when that is over, also where it broke off.

    Raises RefusedError for a guard or a lock, UsageError where nobody can be asked, PartialError if an action failed,
    SourceError, StoreError.
    """
    if options.dry_run or style.format == "table":
        emit_plan(plan, style)
    for note in plan.notes:
        log.note(note.cause, hint=note.hint)
    if not options.dry_run and plan.is_empty:
        from xcomctl.gc.apply import Outcome

        _recover_unfinished(plan, session, options, log)
        log.note(_NOTHING.get(options.command, "nothing to collect"))
        on_outcome(Outcome())
        if style.format != "table":
            emit_outcome(plan, Outcome(), style)
        return
    if _consent(plan, log, style, options):
        _execute(
            plan,
            session,
            options,
            style=style,
            log=log,
            interruption=interruption,
            on_outcome=on_outcome,
        )


def _consent(plan: Plan, log: StderrLog, style: OutputStyle, options: ApplyOptions) -> bool:
    """Whether the plan is to be applied. Raises RefusedError for a guard, UsageError where nobody can be asked."""
    from xcomctl.cli.output.plans import plan_summary

    refused = plan.refusals
    if options.dry_run:
        # The table says it itself.
        for guard in refused if style.format != "table" else ():
            log.note(f"applying this would be refused by {guard.id}: {guard.cause}")
        log.note(f"dry run: nothing was deleted; applying it would delete {plan_summary(plan)}")
        return False
    # Who can be asked sees first what a guard found, and answers for that, too.
    if refused and (options.yes or not can_be_asked() or not all(guard.groups for guard in refused)):
        overrule = " ".join(f"--accept {guard.acceptance}" for guard in refused)
        raise RefusedError(
            f"refused by {', '.join(guard.id for guard in refused)}: {refused[0].cause}; nothing was deleted",
            hint=f"check --db and --store; if this is meant, add {overrule}",
        )
    agreed = consent(
        f"Delete {plan_summary(plan)}{_although(refused)}?",
        yes=options.yes,
        otherwise=f"nothing was deleted: {plan_summary(plan)} would go",
        hint="add --yes to delete, or --dry-run to see the plan"
        if options.command != "apply"
        else "add --yes to delete; xcomctl plan show shows the plan",
        show=None if style.format == "table" else partial(show_plan, plan),
    )
    if not agreed:
        log.note("nothing was deleted")
    return agreed


def _although(refused: list[Guard]) -> str:
    strangers = sum(group.objects for guard in refused for group in guard.groups)
    return f", although {strangers:,} of them may be another deployment's" if strangers else ""


def _recover_unfinished(plan: Plan, session: Session, options: ApplyOptions, log: StderrLog) -> None:
    """Where an operation was killed, find out what became of it, although there is nothing to do by now."""
    from xcomctl.gc.freshness import roots_of
    from xcomctl.state.journal import unfinished

    roots = roots_of(plan)
    if not roots:
        return
    # Nobody can settle what is damaged; `xcomctl log` tells of it.
    left_open = unfinished(session.store, roots, on_damage=lambda _: None)
    database = session.source.identity()
    if any(operation.database == database for operation in left_open):
        # Of several that work on shards at the same time, each sees what the others have not finished yet.
        at_work = (LockedError,) if plan.scope.get("shard") else ()
        with (
            suppress(*at_work),
            stages(log),
            _begin_operation(plan, session, replace(options, wait_lock=timedelta(0)), log),
        ):
            pass


def _begin_operation(
    plan: Plan, session: Session, options: ApplyOptions, log: StderrLog
) -> AbstractContextManager[Operation]:
    """An operation for the plan."""
    from xcomctl.gc.freshness import extent_of, roots_of
    from xcomctl.state.lock import LockWait

    def waiting(cause: str) -> None:
        log.note(f"{cause}: waiting for at most {format_duration(options.wait_lock)}")

    return begin_operation(
        session,
        roots_of(plan),
        options.command,
        plan_id=plan.plan_id,
        trash_keep=parse_duration(plan.scope["trash_keep"]),
        lock_wait=LockWait(options.wait_lock, waiting),
        extent=extent_of(plan),
    )


def _execute(
    plan: Plan,
    session: Session,
    options: ApplyOptions,
    *,
    style: OutputStyle,
    log: StderrLog,
    interruption: Interruption,
    on_outcome: Callable[[Outcome], None],
) -> None:
    from xcomctl.gc.apply import Outcome, RowReading, apply_plan

    if plan.scope.get("backup_to"):
        _back_up(plan, session, plan.scope["backup_to"], log)
    # A limit that is wrong is told before anything is begun.
    resources = session.resources
    outcome = Outcome()
    work: Operation | None = None
    try:
        with (
            _begin_operation(plan, session, options, log) as operation,
            stages(log, totals=_totals(plan)) as report,
        ):
            work = operation
            apply_plan(
                plan,
                operation,
                RowReading(
                    session.dialects,
                    plan.scope["ignore_archives"],
                    resources,
                    interruption.between_batches(report),
                ),
                outcome=outcome,
                active_runs=plan.scope.get("active_runs", False),
                max_rate=options.max_rate,
            )
    except BaseException:
        # What was deleted before it broke must not go unsaid.
        if work is not None:
            undo = f", or bring it back: xcomctl undo {work.id}" if work.journal is not None else ""
            log.note(
                f"cut short after {quantity(outcome.rows['deleted'], 'row')} and"
                f" {quantity(outcome.objects['deleted'], 'object')} were deleted",
                hint=f"run the same command again to finish{undo}",
            )
        raise
    finally:
        on_outcome(outcome)
    recorded = operation.journal is not None
    emit_outcome(plan, outcome, style, operation_id=operation.id if recorded else None)
    if recorded:
        went = outcome.rows["deleted"] + outcome.objects["deleted"]
        log.note(
            f"operation {operation.id}",
            hint=f"xcomctl undo {operation.id} brings it back" if went else None,
        )
    else:
        log.note("without a store there is no journal: what was deleted cannot be brought back")
    for denial in outcome.denials:
        denied = quantity(outcome.uploads["denied"], "unfinished upload")
        log.note(f"{denied} could not be aborted: {denial.cause}", hint=denial.hint)
    if outcome.failed:
        from xcomctl.cli.output.plans import failed_summary

        raise PartialError(
            f"done in part: {failed_summary(outcome)} could not be deleted",
            hint="run the same command again",
        )


def _back_up(plan: Plan, session: Session, place: str, log: StderrLog) -> None:
    """Save the rows that go, with their objects. Raises RefusedError where that fails: then nothing must be deleted."""
    from xcomctl.backup import back_up
    from xcomctl.gc.freshness import roots_of

    targets = list(plan.row_targets())
    if not targets:
        return
    roots = roots_of(plan)
    with stages(log) as report:
        result = back_up(
            session.source,
            session.store,
            session.dialects,
            session.backup_target(place, apart_from=roots),
            targets,
            roots=roots,
            now=datetime.now(timezone.utc),
            report=report,
        )
    if result.failed:
        raise RefusedError(
            f"{quantity(result.failed, 'object')} could not be backed up: {result.first_failure}; nothing was deleted",
            hint="run the same command again",
        )
    log.note(f"what goes is in the backup {place}@{result.manifest.id}")


def _totals(plan: Plan) -> dict[str, int]:
    """How many there are of what the stages of applying count."""
    kinds = plan.action_counts()
    return {
        "objects restored": kinds["restore_object"],
        "rows deleted": kinds["delete_row"],
        "objects deleted": kinds["delete_object"],
        "objects purged": kinds["purge_object"],
        "uploads aborted": kinds["abort_upload"],
    }


def save_plan(plan: Plan, path: Path, log: StderrLog) -> None:
    """Save a plan, and say how it is applied. Raises UsageError where it cannot be written."""
    from xcomctl.gc.plan_file import save

    save(plan, path)
    log.note(f"the plan is in {path}", hint=f"xcomctl apply {shlex.quote(str(path))}, within a day")


def introduce(plan: Plan, log: StderrLog) -> None:
    """Say what a saved plan was made for, and when."""
    stores = ", ".join(plan.scope["roots"]) or "no store"
    log.note(
        f"plan {plan.plan_id} of {format_time(plan.created_at)}, for {plan.basis.database_label} and {stores}"
    )
    listing = plan.basis.inventory
    if listing is not None:
        log.note(f"objects as of {format_time(listing.created_at)}, from {listing.uri}")
