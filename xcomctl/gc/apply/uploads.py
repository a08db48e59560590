"""Aborting unfinished uploads, the last thing that a collection does: no row can name what was never there."""

from __future__ import annotations

from datetime import timezone
from typing import Any

from xcomctl.gc.apply.outcome import Outcome
from xcomctl.gc.plan import Plan
from xcomctl.gc.rate_limit import MOST_AT_ONCE
from xcomctl.models import ObjectAddress
from xcomctl.progress import Progress
from xcomctl.s3.uploads import Upload
from xcomctl.state.operation import Operation


def abort_uploads(plan: Plan, operation: Operation, outcome: Outcome, report: Progress) -> None:
    """Abort the uploads of a plan, counting in `outcome`.

    Each is known by an id that no other one ever gets, so that nothing has to be asked again before. Raises RefusedError
    where the lock was lost, StoreError.
    """
    for actions in plan.batches("abort_upload", MOST_AT_ONCE):
        outcome.add_aborts(operation.abort_uploads([_upload(action) for action in actions]))
        report("uploads aborted", len(actions))


def _upload(action: dict[str, Any]) -> Upload:
    return Upload(
        ObjectAddress(action["bucket"], action["object_key"]),
        action["upload_id"],
        action["last_modified"].replace(tzinfo=timezone.utc),
        action["size"],
    )
