"""`--metrics-file`: what a run came to, written for Prometheus however it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.stderr import StderrLog
from xcomctl.errors import UsageError, XcomctlError

if TYPE_CHECKING:
    from xcomctl.airflow.interface import TableWeight
    from xcomctl.cli.output.metrics import MetricsFile
    from xcomctl.gc.apply import Outcome
    from xcomctl.gc.plan import Plan
    from xcomctl.inventory.fsck import FsckResult
    from xcomctl.inventory.usage import Growth, UsagePart
    from xcomctl.models import Root

MetricsOption = Annotated[
    Path | None,
    typer.Option(
        "--metrics-file",
        metavar="FILE",
        help="Write what the run came to for Prometheus (textfile collector), also if it fails.",
        rich_help_panel="Output",
    ),
]

_DID_ITS_WORK = (0, 4)
"""Exit codes of a run that did what it was asked: that it found something is no failure."""


@dataclass(frozen=True, slots=True)
class MetricsRecorder:
    """Takes the figures of one run. Without a file it takes nothing."""

    file: MetricsFile | None

    @property
    def wanted(self) -> bool:
        """Whether anybody reads them: some take time to find out."""
        return self.file is not None

    def about(self, roots: Sequence[Root | str], shard: str | None = None) -> None:
        """Which stores the run is about, and which shard of them."""
        if self.file is not None:
            self.file.about(",".join(getattr(root, "uri", str(root)) for root in roots), shard)

    def plan(self, plan: Plan) -> None:
        """What is there, and what stands in the way."""
        if self.file is None:
            return
        self._totals(plan.totals)
        for guard in plan.guards:
            self.file.set("xcomctl_guard_refused", 0 if guard.ok else 1, guard.id)
        if "trash_objects" in plan.totals:
            self.file.set("xcomctl_trash_objects", plan.totals["trash_objects"])
            self.file.set("xcomctl_trash_bytes", plan.totals["trash_bytes"])
            self.file.set("xcomctl_trash_oldest_age_seconds", plan.totals["trash_oldest_seconds"])

    def outcome(self, outcome: Outcome) -> None:
        """What became of the plan, as far as it came."""
        if self.file is None:
            return
        from xcomctl.gc.apply.outcome import OBJECT_RESULTS, ROW_RESULTS, UPLOAD_RESULTS

        for result in ROW_RESULTS:
            self.file.set("xcomctl_actions", outcome.rows[result], "rows", result)
        for result in OBJECT_RESULTS:
            self.file.set("xcomctl_actions", outcome.objects[result], "objects", result)
        for result in UPLOAD_RESULTS:
            self.file.set("xcomctl_actions", outcome.uploads[result], "uploads", result)
        self.file.set("xcomctl_reclaimed_bytes", outcome.bytes_reclaimed)
        resurrected = outcome.objects["referenced"] + outcome.objects["restored"]
        self.file.set("xcomctl_resurrected_objects", resurrected)

    def check(self, check: FsckResult) -> None:
        """What a check found."""
        if self.file is None:
            return
        from dataclasses import asdict

        self._totals(
            {**asdict(check.totals()), **check.bytes_by_state(), **check.upload_totals()}, expired=False
        )
        for kind in check.summary():
            if kind.kind == "unresolved":
                self.file.set("xcomctl_rows", kind.count, "unresolved")

    def states(self, states: Sequence[UsagePart]) -> None:
        """Rows and objects, told apart by state alone."""
        if self.file is None:
            return
        for part in states:
            [state] = part.place
            if part.rows:
                self.file.set("xcomctl_rows", part.rows, state)
                self.file.set("xcomctl_row_bytes", part.inline_bytes, state)
            if part.objects:
                self.file.set("xcomctl_objects", part.objects, state)
                self.file.set("xcomctl_object_bytes", part.offloaded_bytes, state)

    def dags(self, dags: Sequence[UsagePart], growth: Growth | None) -> None:
        """The largest DAGs, and what comes in."""
        if self.file is None:
            return
        for part in dags:
            if not part.rest:
                self.file.set("xcomctl_dag_bytes", part.bytes, part.place[0])
        if growth is not None:
            self.file.set("xcomctl_new_bytes_per_day", growth.bytes_per_day)

    def weights(self, weights: Sequence[TableWeight]) -> None:
        """What the tables of the database weigh."""
        if self.file is None:
            return
        for weight in weights:
            self.file.set("xcomctl_table_rows", weight.rows, weight.name)
            for part, size in (("table", weight.table_bytes), ("index", weight.index_bytes)):
                if size is not None:
                    self.file.set("xcomctl_table_bytes", size, weight.name, part)

    def _totals(self, totals: dict[str, int], *, expired: bool = True) -> None:
        assert self.file is not None  # noqa: S101 - asked by whoever calls
        rows = ("expired", "dangling") if expired else ("dangling",)
        self.file.set("xcomctl_rows", totals["rows_scanned"], "all")
        for state in rows:
            self.file.set("xcomctl_rows", totals[f"rows_{state}"], state)
        for state in ("live", "expired", "orphaned", "recent", "foreign"):
            if state == "expired" and not expired:
                continue
            self.file.set("xcomctl_objects", totals[f"objects_{state}"], state)
            self.file.set("xcomctl_object_bytes", totals[f"bytes_{state}"], state)
        for state in ("abandoned", "recent", "foreign"):
            if f"uploads_{state}" in totals:
                self.file.set("xcomctl_uploads", totals[f"uploads_{state}"], state)
                self.file.set("xcomctl_upload_bytes", totals[f"upload_bytes_{state}"], state)


@contextmanager
def record_metrics(
    path: Path | None, command: str, log: StderrLog, *, acts: bool = False
) -> Iterator[MetricsRecorder]:
    """Take the figures of the run inside, and write them when it ends, in whatever way.

    With `acts` a run did its work only if it came to an outcome, which a dry run does not.

    Raises UsageError before anything is done if the file could not be written, XcomctlError at the end.
    """
    if path is None:
        yield MetricsRecorder(None)
        return
    from xcomctl.cli.output.metrics import MetricsFile

    file = MetricsFile(path.expanduser(), command)
    begun = time.monotonic()
    code = 0
    try:
        yield MetricsRecorder(file)
    except BaseException as error:
        code = _exit_code(error)
        raise
    finally:
        succeeded = code in _DID_ITS_WORK and (not acts or file.has("xcomctl_actions"))
        file.set("xcomctl_run_duration_seconds", time.monotonic() - begun)
        for phase, seconds in log.phases.items():
            file.set("xcomctl_phase_duration_seconds", seconds, phase)
        try:
            file.write(now=datetime.now(timezone.utc), exit_code=code, succeeded=succeeded)
        except XcomctlError as error:
            if code not in _DID_ITS_WORK:
                # What the run failed with is what matters.
                log.note(str(error))
            else:
                raise


def _exit_code(error: BaseException) -> int:
    """The exit code with which a run ends that such an error leaves."""
    if isinstance(error, XcomctlError):
        return error.exit_code
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return 130
    return UsageError.exit_code if isinstance(error, typer.BadParameter) else 1
