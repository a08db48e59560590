"""A corpus of files that somebody planted, edited or cut short where the tool looks for its own.

Each kind of file has a table: what is odd about it -> how it is made. A new case is a line of a table. Whoever forges a
file knows how its checksum is made: so do the functions here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tests.faults.estate import Estate
from xcomctl.gc.plan import Plan
from xcomctl.gc.plan_actions import Actions, action_schema
from xcomctl.gc.plan_file import load, save
from xcomctl.inventory.snapshot_file import TABLES
from xcomctl.models import Root

Document = dict[str, Any]

# --- documents of the tool: lock and owner marker --------------------------------------------------------------------

_LATE = "9999-12-31T23:59:59+00:00"


def _told(**members: Any) -> Callable[[Document], bytes]:
    """The document with other members."""
    return lambda document: json.dumps({**document, **members}).encode()


def _without(name: str) -> Callable[[Document], bytes]:
    return lambda document: json.dumps({k: v for k, v in document.items() if k != name}).encode()


def _beyond(name: str) -> Callable[[Document], bytes]:
    """The document with a number that JSON can write and no integer can be."""
    return lambda document: json.dumps({**document, name: "number"}).encode().replace(b'"number"', b"1e999")


DAMAGED: dict[str, Callable[[Document], bytes]] = {
    "empty": lambda _: b"",
    "cut short": lambda document: json.dumps(document).encode()[:-9],
    "not JSON": lambda _: b"\x80\x04K\x01.",
    "a list": lambda document: json.dumps([document]).encode(),
    "a text": lambda _: b'"xcomctl"',
    "nested without end": lambda _: b"[" * 100_000,
    "larger than any": lambda document: json.dumps(document).encode() + b" " * (2 << 20),
    "of another thing": _told(schema="xcomctl.plan/1"),
    "of a later release": _told(schema="xcomctl.lock/99"),
    "without its schema": _without("schema"),
}
"""Of any document."""

LOCKS: dict[str, Callable[[Document], bytes]] = {
    **DAMAGED,
    "a number beyond all": _beyond("pid"),
    "no process": _told(pid=None),
    "a time without zone": _told(expires_at="2026-11-22T12:00:00"),
    "a time before all": _told(expires_at="0001-01-01T00:00:00+14:00"),
    "a time that is none": _told(acquired_at=[1]),
    "no holder": _without("holder"),
}

OWNERS: dict[str, Callable[[Document], bytes]] = {
    **DAMAGED,
    "a number beyond all": _beyond("rows"),
    "rows that are no number": _told(rows={"$gt": 0}),
    "a run that is no number": _told(newest_run="many"),
    "a time before all": _told(written_at="0001-01-01T00:00:00+14:00"),
    "no database": _without("database"),
    "collections that are no mapping": _told(collected=[1]),
    "a collection up to no time": _told(collected={"": 5}),
    "a collection up to a time before all": _told(collected={"": "0001-01-01T00:00:00+14:00"}),
    "claims that are no digest": _told(claims={"$ne": ""}),
}

LOCK = {
    "schema": "xcomctl.lock/1",
    "holder": "mallory@worker",
    "pid": 1,
    "operation_id": "20261122T142831Z-1a2b3c4d",
    "acquired_at": "2026-11-22T14:28:31+00:00",
    "expires_at": _LATE,
    "token": "0" * 32,
}
"""A lock that says it is held for ever."""

# --- plans -----------------------------------------------------------------------------------------------------------

Forger = Callable[[Estate, Plan], Plan]


def forged(path: Path, estate: Estate, forge: Forger) -> None:
    """Put another plan in the place of a saved one, whole, with id and checksums as they must be."""
    save(forge(estate, load(path)), path)


def _with_actions(plan: Plan, records: list[Document]) -> Plan:
    schema = action_schema()
    actions = Actions()
    actions.add([pa.RecordBatch.from_pylist(records, schema=schema)])
    return replace(plan, actions=actions)


def _objects(change: Callable[[Estate, Document], Document]) -> Forger:
    """Change each action about an object."""

    def forge(estate: Estate, plan: Plan) -> Plan:
        records = [
            change(estate, record) if record["action"] == "delete_object" else record
            for record in plan.actions.records()
        ]
        return _with_actions(plan, records)

    return forge


def _rows(**members: Any) -> Forger:
    return lambda _, plan: _with_actions(
        plan,
        [
            {**record, **members} if record["action"] == "delete_row" else record
            for record in plan.actions.records()
        ],
    )


def _aimed(place: tuple[str, str], **members: Any) -> Document:
    bucket, key = place
    return {"uri": f"s3://{bucket}/{key}", "bucket": bucket, "object_key": key, **members}


def _at(name: str) -> Forger:
    """Aim the deletions at one of the objects elsewhere."""
    return _objects(lambda estate, record: {**record, **_aimed(estate.elsewhere[name])})


AT_A_LIVE_OBJECT = _objects(lambda estate, record: {**record, **_aimed((estate.root[0], estate.live[0]))})
"""One of those that a plan may name: what a row needs is asked for again."""


def _in_the_trash(action: str) -> Forger:
    """Take for something in the trash what is none: a row's object."""
    return _objects(
        lambda estate, record: {
            **record,
            "action": action,
            "trash_key": estate.live[0],
        }
    )


def _scope(**members: Any) -> Forger:
    return lambda _, plan: replace(plan, scope={**plan.scope, **members})


PLANS: dict[str, Forger] = {
    "a foreign object": _at("foreign"),
    "an object outside of the root": _at("outside"),
    "an object of a root with a longer name": _at("sibling"),
    "an object of another bucket": _at("another bucket"),
    "a record of the tool": _at("record"),
    "a key with dots": _at("dots"),
    "another object than it shows": _objects(
        lambda estate, record: {
            **record,
            "bucket": estate.elsewhere["outside"][0],
            "object_key": estate.elsewhere["outside"][1],
        }
    ),
    "another claimed object than it shows": _objects(
        lambda estate, record: {**record, "object_key": estate.live[0]}
    ),
    "an empty key": _objects(lambda estate, record: {**record, **_aimed((estate.root[0], ""))}),
    "a key that is too long": _objects(
        lambda estate, record: {**record, **_aimed((estate.root[0], estate.root[1] + "k" * 1100))}
    ),
    "no key": _objects(lambda _, record: {**record, "object_key": None}),
    "no etag": _objects(lambda _, record: {**record, "etag": None}),
    "no time": _objects(lambda _, record: {**record, "last_modified": None}),
    "no size": _objects(lambda _, record: {**record, "size": None}),
    "a live object for something in the trash, to purge": _in_the_trash("purge_object"),
    "a live object for something in the trash, to restore": _in_the_trash("restore_object"),
    "a row of another table": _rows(source_table="dag_run"),
    "a row without key": _rows(row_key=None),
    "a row by what is no key": _rows(row_key='{"$ne": 0}'),
    "a row without digest": _rows(digest=None),
    "a wider root": _scope(roots=["s3://"]),
    "roots that are none": _scope(roots=5),
    "no wait in the trash that is one": _scope(trash_keep="never"),
    "archives that are neither kept nor ignored": _scope(ignore_archives="yes"),
    "rows of runs that are not over": _scope(active_runs=True),
    "a backup to a place of its own": _scope(backup_to="s3://mallory/xcoms"),
    "a backup to no place": _scope(backup_to=["s3://mallory/xcoms"]),
    "a root inside that is outside": lambda estate, plan: replace(
        plan, basis=replace(plan.basis, inside=(Root("mallory", "xcoms/"),))
    ),
    "claims that are no digest": lambda _, plan: replace(
        plan,
        basis=replace(plan.basis, claims={"$ne": ""}),  # type: ignore[arg-type]
    ),
    "the root of the whole bucket": lambda estate, plan: replace(
        plan, scope={**plan.scope, "roots": [f"s3://{estate.root[0]}"]}
    ),
}
"""Each is refused as a whole."""

# --- backups ---------------------------------------------------------------------------------------------------------


class Backup:
    """A backup in a folder, whose files can be changed: every checksum fits again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        [self._file] = folder.rglob("manifest.json")
        self.manifest: Document = json.loads(self._file.read_text())

    def lines(self, kind: str) -> list[Document]:
        """The lines of its only part of a kind."""
        return [
            json.loads(line)
            for line in gzip.decompress((self.folder / self._part(kind)["name"]).read_bytes()).splitlines()
        ]

    def write_lines(self, kind: str, lines: list[Any]) -> None:
        """Put others in their place."""
        part = self._part(kind)
        body = gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        (self.folder / part["name"]).write_bytes(body)
        part |= {"count": len(lines), "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        self.write_manifest()

    def write_manifest(self) -> None:
        """Write it with its checksum."""
        rest = {name: value for name, value in self.manifest.items() if name != "sha256"}
        digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
        self._file.write_text(json.dumps({**rest, "sha256": digest}))

    def _part(self, kind: str) -> Document:
        [part] = [part for part in self.manifest["parts"] if part["kind"] == kind]
        found: Document = part
        return found


def _manifest(change: Callable[[Document, Estate], None]) -> Callable[[Backup, Estate], None]:
    def forge(backup: Backup, estate: Estate) -> None:
        change(backup.manifest, estate)
        backup.write_manifest()

    return forge


def _set(**members: Any) -> Callable[[Backup, Estate], None]:
    return _manifest(lambda manifest, _: manifest.update(members))


def _part_named(name: str) -> Callable[[Backup, Estate], None]:
    return _manifest(lambda manifest, _: manifest["parts"][0].update(name=name))


def _lines_of(kind: str, change: Callable[[Document], Any]) -> Callable[[Backup, Estate], None]:
    return lambda backup, _: backup.write_lines(kind, [change(line) for line in backup.lines(kind)])


def _moved(name: str) -> Callable[[Backup, Estate], None]:
    """Let all rows and objects be about an object elsewhere."""

    def forge(backup: Backup, estate: Estate) -> None:
        bucket, key = estate.elsewhere[name]
        uri = f"s3://{bucket}/{key}"
        backup.write_lines("objects", [{**line, "uri": uri} for line in backup.lines("objects")[:1]])
        backup.write_lines("rows", [{**line, "objects": [uri]} for line in backup.lines("rows")])

    return forge


def _of_root(uri: str, name: str) -> Callable[[Backup, Estate], None]:
    """The same, and say that it is of the root where that lies."""

    def forge(backup: Backup, estate: Estate) -> None:
        backup.manifest["roots"].append(uri.format(bucket=estate.root[0]))
        _moved(name)(backup, estate)

    return forge


BACKUPS: dict[str, Callable[[Backup, Estate], None]] = {
    "a part outside of the place": _part_named("../../../../etc/passwd"),
    "a part of the whole machine": _part_named("/etc/passwd"),
    "a part of another backup": _part_named("backups/20261122T150000Z-1a2b3c4d/rows-00001.ndjson.gz"),
    "the id of another one": _set(id="20261122T150000Z-1a2b3c4d"),
    "roots that are none": _set(roots=["/data"]),
    "a root that is no text": _set(roots=[5]),
    "counts that are no numbers": _set(counts={"rows": "many"}),
    "no counts": _set(counts={}),
    "a database without a name": _set(database={}),
    "a selection that is none": _set(selection="*"),
    "a time that is none": _set(snapshot_at=None),
    "an object without size": _lines_of("objects", lambda line: {**line, "size": None}),
    "an object of less than nothing": _lines_of("objects", lambda line: {**line, "size": -1}),
    "a payload outside of the place": _lines_of(
        "objects", lambda line: {**line, "sha256": "../../../etc/passwd"}
    ),
    "metadata that is none": _lines_of("objects", lambda line: {**line, "metadata": ["a"]}),
    "an object in no state": _lines_of("objects", lambda line: {**line, "state": "lost"}),
    "a line that is no object": _lines_of("objects", lambda _: [1]),
    "a row without columns": _lines_of(
        "rows", lambda line: {**line, "row": {**line["row"], "columns": None}}
    ),
    "a row with a value that is none": _lines_of(
        "rows", lambda line: {**line, "row": {**line["row"], "columns": {"value": {"$bytes": "\u00e9"}}}}
    ),
    "a row without a DAG": _lines_of("rows", lambda line: {**line, "row": {**line["row"], "dag_id": None}}),
    "a row of objects that are none": _lines_of("rows", lambda line: {**line, "objects": "s3://b/k"}),
    "a line that is no row": _lines_of("rows", lambda _: "row"),
    "an object outside of the root": _moved("outside"),
    "an object of another bucket": _moved("another bucket"),
    "a record of the tool": _moved("record"),
    "an object outside, as if it were of that root": _of_root("s3://{bucket}/finance", "outside"),
    "an object of another bucket, as if it were of that root": _of_root(
        "s3://{bucket}-other", "another bucket"
    ),
    "an object beside the root, as if it were of the whole bucket": _of_root("s3://{bucket}", "sibling"),
}
"""No restore of them writes anything outside of the root."""

# --- inventories -----------------------------------------------------------------------------------------------------

Sql = Callable[[duckdb.DuckDBPyConnection], object]


def inventory(path: Path, *, kept_at: str = "now()::TIMESTAMP") -> Path:
    """A small inventory."""
    with duckdb.connect(str(path)) as database:
        for table, columns in TABLES.items():
            declared = ", ".join(f"{column.name} {column.type}" for column in columns)
            database.execute(f"CREATE TABLE {table} ({declared})")
        database.execute(
            "INSERT INTO about BY NAME SELECT 1 AS version, ['s3://b/x'] AS roots, 'here' AS database,"
            f" true AS complete, {kept_at} AS created_at, {kept_at} AS cutoff"
        )
    return path


def _run(*statements: str) -> Callable[[Path], None]:
    def forge(path: Path) -> None:
        with duckdb.connect(str(path)) as database:
            for statement in statements:
                database.execute(statement)

    return forge


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def _flipped(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[5_000:9_000] = b"\xff" * 4_000
    path.write_bytes(body)


INVENTORIES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": _cut,
    "other bytes": _flipped,
    "not a database": lambda path: path.write_bytes(b"PK\x03\x04" * 1000),
    "no table": _run("DROP TABLE objects"),
    "another type": _run("ALTER TABLE objects ALTER size TYPE VARCHAR"),
    "no column": _run("ALTER TABLE entries DROP dag_id"),
    "a view of a file": _run(
        "DROP TABLE objects", "CREATE VIEW objects AS SELECT * FROM read_text('/etc/passwd')"
    ),
    "what it is of, as a view": _run(
        "ALTER TABLE about RENAME TO said", "CREATE VIEW about AS SELECT * FROM said"
    ),
    "nothing said of what it is": _run("DELETE FROM about"),
    "two things said of what it is": _run("INSERT INTO about SELECT * FROM about"),
    "no time": _run("UPDATE about SET created_at = NULL"),
    "no roots": _run("UPDATE about SET roots = NULL"),
    "a root that is none": _run("UPDATE about SET roots = [NULL]"),
}
"""Each is refused in one line."""
