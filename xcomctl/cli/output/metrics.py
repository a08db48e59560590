"""What one run of a command tells Prometheus, in a file for the textfile collector of its node exporter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from xcomctl.errors import UsageError, XcomctlError

LAST_SUCCESS = "xcomctl_last_success_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge. All of them have the labels `command` and `root`, and `shard` where there is one."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


METRICS = {
    metric.name: metric
    for metric in (
        Metric("xcomctl_last_run_timestamp_seconds", "When the last run ended, in seconds since 1970."),
        Metric(LAST_SUCCESS, "When the last run ended that did its work, in seconds since 1970."),
        Metric("xcomctl_exit_code", "Exit code of the last run."),
        Metric("xcomctl_run_duration_seconds", "How long the last run took."),
        Metric("xcomctl_phase_duration_seconds", "How long each phase of the last run took.", ("phase",)),
        Metric("xcomctl_rows", "XCom rows by state.", ("state",)),
        Metric("xcomctl_row_bytes", "Bytes of the values in XCom rows by state.", ("state",)),
        Metric("xcomctl_objects", "Objects by state.", ("state",)),
        Metric("xcomctl_object_bytes", "Bytes of the objects by state.", ("state",)),
        Metric("xcomctl_uploads", "Unfinished multipart uploads by state.", ("state",)),
        Metric("xcomctl_upload_bytes", "Bytes of their parts by state.", ("state",)),
        Metric("xcomctl_actions", "What the last run did, and why not, by result.", ("what", "result")),
        Metric("xcomctl_reclaimed_bytes", "Bytes of the objects that left their place in the last run."),
        Metric(
            "xcomctl_resurrected_objects",
            "Objects that were to go, or had gone, and that a row referenced by then.",
        ),
        Metric("xcomctl_guard_refused", "Whether a guard refused the plan: 1, or 0.", ("guard",)),
        Metric("xcomctl_trash_objects", "Objects that were in the trash when the run began."),
        Metric("xcomctl_trash_bytes", "Bytes of the objects that were in the trash when the run began."),
        Metric(
            "xcomctl_trash_oldest_age_seconds",
            "For how long the oldest of them had been there; 0 if none was.",
        ),
        Metric("xcomctl_dag_bytes", "Bytes in rows and objects by DAG, the largest ones.", ("dag_id",)),
        Metric("xcomctl_new_bytes_per_day", "Bytes that came in a day, in the mean of the last 30 days."),
        Metric("xcomctl_table_bytes", "Bytes of an XCom table of the database.", ("table", "part")),
        Metric("xcomctl_table_rows", "Rows of an XCom table of the database.", ("table",)),
    )
}
"""Every metric, by name."""

_HINT = "give each command a file of its own, such as --metrics-file xcomctl-gc.prom"


class MetricsFile:
    """The metrics of one run, and the file that they replace when it has ended."""

    def __init__(self, path: Path, command: str) -> None:
        """Raises UsageError where the file cannot be written, or holds what is not this command's."""
        self._path = path
        self._labels = {"command": command, "root": ""}
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._last_success: float | None = None
        _require_writable(path)
        for labels, value in _last_successes(path, command):
            self._last_success = value
            self._labels["root"] = labels.get("root", "")

    def about(self, root: str, shard: str | None) -> None:
        """Say which stores, and which shard of them, the figures are of."""
        self._labels["root"] = root
        if shard is not None:
            self._labels["shard"] = shard

    def set(self, name: str, value: float, *labels: str | None) -> None:
        """Set the metric of that name, for these labels in the order in which `METRICS` has them."""
        self._values.setdefault(name, {})[tuple(label or "" for label in labels)] = value

    def has(self, name: str) -> bool:
        """Whether the metric of that name is set."""
        return name in self._values

    def write(self, *, now: datetime, exit_code: int, succeeded: bool) -> None:
        """Replace the file at once. Raises XcomctlError where that fails."""
        self.set("xcomctl_last_run_timestamp_seconds", now.timestamp())
        self.set("xcomctl_exit_code", exit_code)
        success = now.timestamp() if succeeded else self._last_success
        if success is not None:
            self.set(LAST_SUCCESS, success)

        from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

        registry = CollectorRegistry()
        for metric in METRICS.values():
            values = self._values.get(metric.name)
            if values is None:
                continue
            gauge = Gauge(metric.name, metric.help, [*self._labels, *metric.labels], registry=registry)
            for labels, value in values.items():
                gauge.labels(*self._labels.values(), *labels).set(value)
        try:
            write_to_textfile(str(self._path), registry)
        except OSError as error:
            raise XcomctlError(f"{self._path} cannot be written: {error.strerror or error}") from error


def _require_writable(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint=f"mkdir -p {folder}")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", hint="--metrics-file xcomctl-gc.prom")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"{folder} takes no files from you, so {path.name} cannot be written there",
            hint="give --metrics-file a path in another folder, or yourself the right to write there",
        )


def _last_successes(path: Path, command: str) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and values of what the last run of the command left."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is there, and is no file of metrics that could be replaced", hint=_HINT
        ) from error
    for family in families:
        for sample in family.samples:
            if sample.labels.get("command") != command or sample.name not in METRICS:
                raise UsageError(f"{path} holds other metrics than those of {command}", hint=_HINT)
            if sample.name == LAST_SUCCESS:
                yield sample.labels, sample.value
