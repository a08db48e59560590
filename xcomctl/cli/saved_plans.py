"""Plans in files, as the verbs save and introduce them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.units import format_time

if TYPE_CHECKING:
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.gc.plan import Plan


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
