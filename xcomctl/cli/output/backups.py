"""Backups, their checks and restores, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xcomctl.backup import BackupManifest, BackupResult, BackupVerification
from xcomctl.backup.restore import RestoreResult
from xcomctl.backup.restore_request import RestoreRequest
from xcomctl.cli.output.text import visible
from xcomctl.units import format_size, format_time, quantity

_SHOWN = 5

_ROWS = {
    "inserted": "inserted",
    "identical": "there already",
    "conflict": "not restored: another value is in the place",
    "no_task_instance": "not restored: the task instance does not exist",
    "misfit": "not restored: the tables of this database do not take such a row",
    "no_object": "not restored: their objects did not come back",
    "not_movable": "not restored: their references cannot be rewritten",
}
_OBJECTS = {
    "restored": "uploaded",
    "identical": "there already",
    "conflict": "not restored: another object has the key",
    "damaged": "not restored: the payload in the backup is damaged",
    "outside": "not restored: outside of the stores of this command",
}


def backup_lines(result: BackupResult, where: str) -> Iterator[str]:
    """What a backup holds, and what it could not."""
    manifest = result.manifest
    counts = manifest.counts
    yield _line("backup", f"{where}@{manifest.id}")
    yield from manifest_lines(manifest)
    size = format_size(counts["bytes_written"])
    yield _line("written", f"{quantity(counts['payloads_written'], 'payload')} ({size})")
    yield from _examples("missing", counts["objects_missing"], result.missing)
    yield from _examples("failed", counts["objects_failed"], result.failures)
    yield from _examples("elsewhere", counts["objects_unresolved"], result.unresolved)


def manifest_lines(manifest: BackupManifest) -> Iterator[str]:
    """What a backup says of itself."""
    counts = manifest.counts
    dangling = f", {counts['rows_dangling']} of them dangling" if counts["rows_dangling"] else ""
    yield _line("database", f"{manifest.database['label']} as of {format_time(manifest.snapshot_at)}")
    yield _line("rows", f"{counts['rows']}{dangling}")
    yield _line("objects", f"{counts['objects_stored']} ({format_size(counts['bytes'])})")


def verification_lines(result: BackupVerification, where: str) -> Iterator[str]:
    """What a check found."""
    yield _line("backup", f"{where}@{result.manifest.id}")
    yield from manifest_lines(result.manifest)
    yield _line("checked", f"{quantity(result.payloads, 'payload')} ({format_size(result.bytes)})")
    yield _line("findings", str(len(result.findings)))
    for finding in result.findings:
        yield f"  {visible(finding.cause)}"


def restore_lines(result: RestoreResult, *, previewed: RestoreRequest | None = None) -> Iterator[str]:
    """What became of rows and objects, or would become of what is `previewed`, with the stores that would get objects."""
    if previewed is not None:
        yield "dry run: this would become of them"
    for what, counts, told in (("rows", result.rows, _ROWS), ("objects", result.objects, _OBJECTS)):
        for outcome, text in told.items():
            if not counts[outcome]:
                continue
            size = f" ({format_size(result.bytes_restored)})" if outcome == "restored" else ""
            yield _line(what, f"{counts[outcome]} {text}{size}")
            for example in result.examples.get(f"{what}.{outcome}", ()):
                yield f"  {visible(example)}"
    if not result.rows:
        yield _line("rows", "none are meant by this selection")
    if previewed is not None and result.objects:
        for root in previewed.targets:
            yield _line("target", root.uri)


def restore_summary(counts: Mapping[str, int], objects: Mapping[str, int], size: int) -> str:
    """What a restore is about to do, for the question."""
    rows, uploads = quantity(counts["inserted"], "row"), quantity(objects["restored"], "object")
    return f"{rows} and {uploads} ({format_size(size)})"


def _examples(name: str, count: int, examples: Sequence[str]) -> Iterator[str]:
    if count:
        yield _line(name, quantity(count, "object"))
        for example in examples[:_SHOWN]:
            yield f"  {visible(example)}"


def _line(name: str, text: str) -> str:
    return f"{name:<10}{visible(text)}"
