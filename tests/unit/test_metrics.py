"""Files of metrics for Prometheus."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families

from xcomctl.cli.metrics_recorder import record_metrics
from xcomctl.cli.output.metrics import LAST_SUCCESS, METRICS, MetricsFile
from xcomctl.cli.stderr import StderrLog
from xcomctl.errors import RefusedError, UsageError, XcomctlError
from xcomctl.gc.apply import Outcome

FIRST = datetime(2026, 11, 21, 4, tzinfo=timezone.utc)
SECOND = datetime(2026, 11, 22, 4, tzinfo=timezone.utc)


def read(path: Path) -> dict[tuple[str, ...], float]:
    """Values of a file by name and labels, apart from the one that names the command."""
    return {
        (
            sample.name,
            *(value for label, value in sorted(sample.labels.items()) if label != "command"),
        ): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_run_that_fails_keeps_the_last_success(tmp_path: Path) -> None:
    """Its own figures take the place of the others; of which stores they were is known even if it did not come so far."""
    path = tmp_path / "gc.prom"
    first = MetricsFile(path, "gc")
    first.about("s3://b/x", "1/4")
    first.set("xcomctl_objects", 7, "live")
    first.write(now=FIRST, exit_code=0, succeeded=True)
    assert read(path) == {
        ("xcomctl_last_run_timestamp_seconds", "s3://b/x", "1/4"): FIRST.timestamp(),
        (LAST_SUCCESS, "s3://b/x", "1/4"): FIRST.timestamp(),
        ("xcomctl_exit_code", "s3://b/x", "1/4"): 0,
        ("xcomctl_objects", "s3://b/x", "1/4", "live"): 7,
    }
    MetricsFile(path, "gc").write(now=SECOND, exit_code=6, succeeded=False)
    assert read(path) == {
        ("xcomctl_last_run_timestamp_seconds", "s3://b/x"): SECOND.timestamp(),
        (LAST_SUCCESS, "s3://b/x"): FIRST.timestamp(),
        ("xcomctl_exit_code", "s3://b/x"): 6,
    }
    assert [file.name for file in tmp_path.iterdir()] == ["gc.prom"]


def test_names_of_dags_may_hold_anything(tmp_path: Path) -> None:
    """Quotes, backslashes and line ends are escaped as the format wants it; what is unknown is empty."""
    path = tmp_path / "du.prom"
    file = MetricsFile(path, "du")
    for number, dag in enumerate(['a"b\\c\nd', None]):
        file.set("xcomctl_dag_bytes", number, dag)
    file.write(now=FIRST, exit_code=0, succeeded=True)
    found = read(path)
    assert (found["xcomctl_dag_bytes", 'a"b\\c\nd', ""], found["xcomctl_dag_bytes", "", ""]) == (0, 1)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('xcomctl_exit_code{command="fsck",root=""} 0\n', "holds other metrics than those of gc"),
        ("node_load1 0.5\n", "holds other metrics than those of gc"),
        ("my notes {", "is no file of metrics"),
        (None, "is not a folder"),
    ],
)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, content: str | None, cause: str) -> None:
    """A file of another command or program is no place for these, and a folder has to be there; said before all else."""
    path = tmp_path / ("no/gc.prom" if content is None else "gc.prom")
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=cause):
        MetricsFile(path, "gc")
    if content is not None:
        assert path.read_text() == content


def test_a_folder_that_went_is_told(tmp_path: Path) -> None:
    """What cannot be written in the end is an error with the path."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    file = MetricsFile(folder / "gc.prom", "gc")
    folder.rmdir()
    with pytest.raises(XcomctlError, match=r"gc\.prom cannot be written: No such file"):
        file.write(now=FIRST, exit_code=0, succeeded=True)


@pytest.mark.parametrize(
    ("error", "code", "succeeded"),
    [
        (None, 0, True),
        (typer.Exit(4), 4, True),
        (RefusedError("a guard"), 5, False),
        (KeyboardInterrupt(), 130, False),
        (typer.Abort(), 130, False),
        (ZeroDivisionError(), 1, False),
    ],
    ids=["done", "findings", "refused", "interrupted", "aborted", "broken"],
)
def test_however_a_run_ends_it_is_recorded(
    tmp_path: Path, error: BaseException | None, code: int, succeeded: bool
) -> None:
    """With its exit code, and what its phases took."""
    log = StderrLog()

    def run() -> None:
        with record_metrics(tmp_path / "fsck.prom", "fsck", log):
            log.spent({"objects": 1.5})
            log.spent({"objects": 1.5, "rest": 0.25})
            if error is not None:
                raise error

    if error is None:
        run()
    else:
        with pytest.raises(type(error)):
            run()
    found = read(tmp_path / "fsck.prom")
    assert (found["xcomctl_exit_code", ""], (LAST_SUCCESS, "") in found) == (code, succeeded)
    assert found["xcomctl_phase_duration_seconds", "objects", ""] == 3
    assert found["xcomctl_run_duration_seconds", ""] > 0


def test_what_was_to_act_succeeded_only_if_it_came_to_an_outcome(tmp_path: Path) -> None:
    """A dry run, or a no, ends with 0 and is no success."""
    path = tmp_path / "gc.prom"
    for outcome in (None, Outcome()):
        with record_metrics(path, "gc", StderrLog(), acts=True) as record:
            if outcome is not None:
                record.outcome(outcome)
        assert ((LAST_SUCCESS, "") in read(path)) == (outcome is not None)


def test_metrics_that_cannot_be_written_do_not_hide_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error of the run is what is raised, the other one is a note; after a run that was well it is an error."""
    folder = tmp_path / "metrics"
    folder.mkdir()

    def fail() -> None:
        folder.rmdir()
        raise RefusedError("a guard")

    with pytest.raises(RefusedError), record_metrics(folder / "gc.prom", "gc", StderrLog()):
        fail()
    assert "gc.prom cannot be written" in capsys.readouterr().err
    folder.mkdir()
    with (
        pytest.raises(XcomctlError, match="cannot be written"),
        record_metrics(folder / "gc.prom", "gc", StderrLog()),
    ):
        folder.rmdir()


def test_names_follow_the_conventions() -> None:
    """Gauges of this program, in base units, with a sentence for each."""
    for metric in METRICS.values():
        assert metric.name.startswith("xcomctl_")
        assert not metric.name.endswith(("_total", "_count", "_sum", "_ms", "_minutes", "_kib"))
        assert metric.help.endswith(".")
        assert not {"command", "root", "shard"} & set(metric.labels)
