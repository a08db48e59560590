"""Make a backup: the rows of one snapshot first, then the objects that they reference, the manifest last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any

from xcomctl import __version__
from xcomctl.airflow.interface import RowRecord, RowTarget, Selection, Source
from xcomctl.backup.ledger import Ledger, LedgerEntry, Need
from xcomctl.backup.manifest import (
    BackupManifest,
    backup_ids,
    new_id,
    payload_name,
    read_manifest,
    write_manifest,
)
from xcomctl.backup.parts import PartWriter, required_entries
from xcomctl.backup.spool import spooled
from xcomctl.backup.target import BackupTarget
from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.reach import Reach
from xcomctl.errors import NotFoundError, RefusedError, StoreError, XcomctlError
from xcomctl.models import ObjectAddress, Root
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import TransferStore

_THREADS = 8
_TARGETS_AT_A_TIME = 500
_EXAMPLES = 20

_LOOK_BACK = 20
"""Backups among which one of the same selection is looked for."""


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A finished backup. `failures` tell of the first few objects that are not in it although they exist."""

    manifest: BackupManifest
    failures: tuple[str, ...]
    missing: tuple[str, ...]
    """The first few objects that rows reference and that do not exist any more."""
    unresolved: tuple[str, ...]
    """The first few references to objects that lie outside of the stores, and so were not copied."""

    @property
    def failed(self) -> int:
        """Objects that should be in the backup and are not, or not as their reference says."""
        return self.manifest.counts["objects_failed"] + self.manifest.counts["objects_unresolved"]

    @property
    def first_failure(self) -> str:
        """What to tell of these. There is one."""
        return (*self.failures, *(f"{one} lies in none of the stores" for one in self.unresolved))[0]


def back_up(
    source: Source,
    store: TransferStore,
    dialects: Dialects,
    backup_target: BackupTarget,
    what: Selection | Sequence[RowTarget],
    *,
    roots: Sequence[Root],
    now: datetime,
    report: Progress = no_progress,
) -> BackupResult:
    """Copy rows, and the objects below `roots` that they reference, to a backup target.

    `what` are the rows, every attempt of a task. A value can name any object that our credentials reach: what lies outside
    of the roots is never read, and counted as unresolved. Rows that are given as targets and are not as judged any more are
    left out. Raises SourceError, and StoreError where the target or all of the store fails: then there is no manifest, and
    so no backup.
    """
    info, identity = source.info(), source.identity()
    selection = _document(what)
    backup_id = new_id(now)
    with Ledger() as ledger:
        with (
            PartWriter(backup_target, backup_id, "rows") as rows,
            _records(source, what, now) as (records, at),
        ):
            reach = Reach(tuple(roots))
            for line, record in enumerate(records):
                needs = list(_needs(record, dialects, reach))
                ledger.need(line, needs)
                uris = list(dict.fromkeys(uri for need in needs for uri in need.uris))
                rows.add({"row": record.document(), "objects": uris})
                report("rows", 1)
        _recall(ledger, backup_target, selection)
        counts, failures = _copy(ledger, store, backup_target, report)
        with PartWriter(backup_target, backup_id, "objects") as objects:
            for entry in ledger.entries():
                objects.add(entry)
                counts[f"objects_{entry['state']}"] += 1
                counts["bytes"] += entry.get("size", 0)
        for uri in ledger.other_content():
            counts["objects_failed"] += 1
            failures.append(f"{uri}: its content is not what its reference says")
        manifest = BackupManifest(
            id=backup_id,
            created_at=now,
            snapshot_at=at,
            tool_version=__version__,
            database={
                "label": info.label,
                "identity": identity,
                "engine": info.engine,
                "shape": info.shape,
            },
            roots=tuple(root.uri for root in roots),
            selection=selection,
            counts={
                "rows": sum(part.count for part in rows.parts),
                "rows_dangling": ledger.dangling_rows(),
                "objects_unresolved": ledger.unresolved_count(),
                **{name: counts[name] for name in _COUNTS},
            },
            parts=(*rows.parts, *objects.parts),
        )
        write_manifest(backup_target, manifest)
        missing = ledger.uris_in("missing", _EXAMPLES)
        unresolved = ledger.unresolved(_EXAMPLES)
    return BackupResult(manifest, tuple(failures[:_EXAMPLES]), tuple(missing), tuple(unresolved))


_COUNTS = (
    "objects_stored",
    "objects_missing",
    "objects_failed",
    "objects_unchanged",
    "bytes",
    "payloads_written",
    "bytes_written",
)


@contextmanager
def _records(
    source: Source, what: Selection | Sequence[RowTarget], now: datetime
) -> Iterator[tuple[Iterator[RowRecord], datetime]]:
    """The rows that are meant, and the time of which they are."""
    if isinstance(what, Selection):
        with source.snapshot() as snapshot:
            yield snapshot.records(replace(what, all_attempts=True)), snapshot.taken_at
        return

    def as_judged() -> Iterator[RowRecord]:
        for start in range(0, len(what), _TARGETS_AT_A_TIME):
            for record in source.records(what[start : start + _TARGETS_AT_A_TIME]):
                if record is not None:
                    yield record

    yield as_judged(), now


def _document(what: Selection | Sequence[RowTarget]) -> dict[str, Any]:
    if not isinstance(what, Selection):
        return {"targets": len(what)}
    given = {name: value for name, value in asdict(what).items() if value is not None}
    given.pop("all_attempts")
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()
    }


def _needs(record: RowRecord, dialects: Dialects, reach: Reach) -> Iterator[Need]:
    """What a row references: all that lies in reach, and of a sure reference also that nothing does."""
    for reference in dialects.references(record.raw, reach.roots):
        sure = reference.confidence != "ambiguous"
        uris = tuple(address.uri for address in reference.addresses if reach.allows(address))
        if sure or uris:
            named = reference.addresses[0].uri if reference.addresses else reference.text
            yield Need(uris, sure, reference.sha256, unresolved=None if uris else named)


def _recall(ledger: Ledger, backup_target: BackupTarget, selection: dict[str, Any]) -> None:
    """Note what the newest backup of the same selection, else the newest of all, says of the objects in it."""
    chosen: BackupManifest | None = None
    for backup_id in backup_ids(backup_target)[:_LOOK_BACK]:
        try:
            manifest = read_manifest(backup_target, backup_id)
        except RefusedError:
            # A damaged one spares no work; `backup verify` speaks of it.
            continue
        chosen = chosen or manifest
        if "targets" in selection:
            # Never the same rows again: the newest serves as well as any.
            break
        if manifest.selection == selection:
            chosen = manifest
            break
    for part in chosen.parts_of("objects") if chosen else ():
        try:
            ledger.know(required_entries(backup_target, part))
        except RefusedError:
            continue


def _copy(
    ledger: Ledger, store: TransferStore, backup_target: BackupTarget, report: Progress
) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    failures: list[str] = []
    reached = False
    with ThreadPoolExecutor(_THREADS) as threads:
        for batch in ledger.pending():
            copy = partial(_copy_one, store=store, backup_target=backup_target, claims=_Claims())
            done = list(threads.map(copy, batch))
            entries = [copied.entry for copied in done]
            failed = [entry for entry in entries if entry.state == "failed"]
            reached = reached or len(failed) < len(entries)
            if not reached:
                # Do not wait for each of the others: they would hardly fare better.
                raise StoreError(
                    f"no object could be copied: {failed[0].cause}",
                    hint="check --endpoint-url and the rights",
                )
            failures += [f"{entry.uri}: {entry.cause}" for entry in failed]
            ledger.record(entries)
            for copied in done:
                counts["objects_unchanged"] += copied.unchanged
                counts["payloads_written"] += copied.written
                counts["bytes_written"] += copied.entry.size if copied.written else 0
            report("objects", len(batch))
    return counts, failures


@dataclass(frozen=True, slots=True)
class _Copied:
    entry: LedgerEntry
    unchanged: bool = False
    written: bool = False


class _Claims:
    """Which payloads of a batch somebody is writing: equal ones are written once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._claimed: set[str] = set()

    def claim(self, sha256: str) -> bool:
        """Whether it is ours to write. If whoever claimed it fails, the backup does."""
        with self._lock:
            if sha256 in self._claimed:
                return False
            self._claimed.add(sha256)
            return True


def _copy_one(
    item: tuple[str, LedgerEntry | None],
    *,
    store: TransferStore,
    backup_target: BackupTarget,
    claims: _Claims,
) -> _Copied:
    """Put one object in the target. What the store says is in the outcome, what the target says is raised."""
    uri, known = item
    address = ObjectAddress.parse(uri)
    recalled = known if known is not None and _is_there(backup_target, known) else None
    with ExitStack() as opened:
        try:
            if recalled is not None:
                found = store.stat(address)
                if found is None:
                    return _Copied(LedgerEntry(uri, "missing"))
                if (found.etag, found.size) == (recalled.etag, recalled.size):
                    return _Copied(recalled, unchanged=True)
            with store.download(address) as download:
                payload = opened.enter_context(spooled(download.chunks))
        except NotFoundError:
            return _Copied(LedgerEntry(uri, "missing"))
        except XcomctlError as error:
            return _Copied(LedgerEntry(uri, "failed", cause=str(error)))
        entry = LedgerEntry(
            uri,
            "stored",
            payload.sha256,
            payload.size,
            download.info.etag,
            download.info.last_modified.isoformat(),
            download.description,
        )
        if not claims.claim(payload.sha256) or _is_there(backup_target, entry):
            return _Copied(entry)
        backup_target.write(payload_name(payload.sha256), payload.file, payload.size)
        return _Copied(entry, written=True)


def _is_there(backup_target: BackupTarget, entry: LedgerEntry) -> bool:
    return backup_target.size_of(payload_name(str(entry.sha256))) == entry.size
