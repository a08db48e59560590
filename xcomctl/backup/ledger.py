"""What a backup has to copy and what it copied, in a temporary database: there may be more of it than memory."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

from xcomctl.backup.manifest import is_sha256
from xcomctl.files import TemporaryFolder
from xcomctl.s3.interface import Description

_SCHEMA = """
CREATE TABLE wanted (reference INTEGER, line INTEGER, uri TEXT, sure INTEGER, sha256 TEXT);
CREATE INDEX wanted_uri ON wanted (uri);
CREATE TABLE objects (uri TEXT PRIMARY KEY, state TEXT, sha256 TEXT, size INTEGER, document TEXT);
CREATE TABLE results (uri TEXT PRIMARY KEY, result TEXT);
CREATE TABLE known (uri TEXT PRIMARY KEY, document TEXT);
CREATE TABLE unresolved (named TEXT PRIMARY KEY);
"""
_BATCH = 256

EntryState = Literal["stored", "missing", "failed"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One object of a backup: stored under its checksum, missing in the store, or failed with a cause."""

    uri: str
    state: EntryState
    sha256: str | None = None
    size: int = 0
    etag: str | None = None
    last_modified: str | None = None
    description: Description = field(default_factory=Description)
    cause: str | None = None

    def document(self) -> dict[str, Any]:
        """The entry as JSON types."""
        if self.state != "stored":
            return {"uri": self.uri, "state": self.state, **({"cause": self.cause} if self.cause else {})}
        return {
            "uri": self.uri,
            "state": self.state,
            "sha256": self.sha256,
            "size": self.size,
            "etag": self.etag,
            "last_modified": self.last_modified,
            "content_type": self.description.content_type,
            "content_encoding": self.description.content_encoding,
            "metadata": dict(self.description.metadata),
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> LedgerEntry:
        """The entry that `document` made. Raises KeyError, TypeError, ValueError for what is none."""
        uri, state = document["uri"], document["state"]
        if not isinstance(uri, str) or state not in get_args(EntryState):
            raise ValueError("not an object of a backup")
        if state != "stored":
            return cls(uri, state, cause=None if document.get("cause") is None else str(document["cause"]))
        sha256, size, metadata = document["sha256"], document["size"], dict(document["metadata"])
        texts = (document["etag"], document["last_modified"], *metadata, *metadata.values())
        kinds = (document["content_type"], document["content_encoding"])
        if not all(isinstance(text, str) for text in texts) or not all(
            kind is None or isinstance(kind, str) for kind in kinds
        ):
            raise TypeError("not an object of a backup")
        if not is_sha256(sha256) or type(size) is not int or size < 0:
            raise ValueError("not an object of a backup")
        return cls(
            uri,
            "stored",
            sha256,
            size,
            document["etag"],
            document["last_modified"],
            Description(*kinds, metadata),
        )


@dataclass(frozen=True, slots=True)
class Need:
    """One reference of a row: the objects in reach that it may mean. `sure` if it can be nothing but a reference."""

    uris: tuple[str, ...]
    sure: bool
    sha256: str | None = None
    unresolved: str | None = None
    """What it names instead, where nothing of it is in reach."""


class Ledger:
    """A context manager; the temporary database goes with it."""

    def __enter__(self) -> Ledger:
        with ExitStack() as opened:
            folder = opened.enter_context(TemporaryFolder())
            self._sql = opened.enter_context(closing(sqlite3.connect(Path(folder) / "ledger.db")))
            self._sql.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
            self._references = 0
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def need(self, line: int, needs: Sequence[Need]) -> None:
        """Note what the row in a line references."""
        for one in needs:
            if one.unresolved is not None:
                # A reference may hold what no text of a database can.
                named = one.unresolved.encode(errors="backslashreplace").decode()
                self._sql.execute("INSERT OR IGNORE INTO unresolved VALUES (?)", (named,))
                continue
            self._references += 1
            self._sql.executemany(
                "INSERT INTO wanted VALUES (?, ?, ?, ?, ?)",
                [(self._references, line, uri, one.sure, one.sha256) for uri in one.uris],
            )

    def know(self, entries: Iterable[LedgerEntry]) -> None:
        """Note the objects of an earlier backup."""
        self._sql.executemany(
            "INSERT OR REPLACE INTO known VALUES (?, ?)",
            ((entry.uri, json.dumps(entry.document())) for entry in entries if entry.state == "stored"),
        )

    def pending(self) -> Iterator[list[tuple[str, LedgerEntry | None]]]:
        """Objects that are still to be copied, some at a time, each with what an earlier backup knew of it."""
        last = ""
        while True:
            found = self._sql.execute(
                "SELECT DISTINCT wanted.uri, known.document FROM wanted LEFT JOIN known USING (uri)"
                " WHERE wanted.uri > ? ORDER BY wanted.uri LIMIT ?",
                (last, _BATCH),
            ).fetchall()
            if not found:
                return
            last = found[-1][0]
            yield [
                (uri, None if known is None else LedgerEntry.of(json.loads(known))) for uri, known in found
            ]

    def record(self, entries: Iterable[LedgerEntry]) -> None:
        """Note what became of objects."""
        self._sql.executemany(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
            [(one.uri, one.state, one.sha256, one.size, json.dumps(one.document())) for one in entries],
        )

    def entries(self) -> Iterator[dict[str, Any]]:
        """All objects as documents, by URI, without those that do not exist and that only a doubtful reference names."""
        found = self._sql.execute(
            "SELECT document FROM objects WHERE state <> 'missing'"
            " OR uri IN (SELECT uri FROM wanted WHERE sure) ORDER BY uri"
        )
        for (document,) in found:
            yield json.loads(document)

    def entry(self, uri: str) -> LedgerEntry | None:
        """What became of one object."""
        found = self._sql.execute("SELECT document FROM objects WHERE uri = ?", (uri,)).fetchone()
        return None if found is None else LedgerEntry.of(json.loads(found[0]))

    def note_result(self, uri: str, result: str) -> None:
        """Note what became of an object that was to come back."""
        self._sql.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (uri, result))

    def result_of(self, uri: str) -> str | None:
        """What became of an object that was to come back; None if nothing yet."""
        found = self._sql.execute("SELECT result FROM results WHERE uri = ?", (uri,)).fetchone()
        return None if found is None else str(found[0])

    def payloads(self) -> Generator[tuple[str, int], None, None]:
        """Checksum and size of every payload, each once."""
        yield from self._sql.execute(
            "SELECT sha256, max(size) FROM objects WHERE state = 'stored' GROUP BY sha256 ORDER BY sha256"
        )

    def dangling_rows(self) -> int:
        """Rows with a reference of which no object exists."""
        return self._count(
            "SELECT count(DISTINCT line) FROM (SELECT line FROM wanted LEFT JOIN objects USING (uri)"
            " WHERE sure GROUP BY reference, line HAVING sum(coalesce(state, 'missing') <> 'missing') = 0)"
        )

    def other_content(self) -> list[str]:
        """URIs of objects that are not what the reference to them says of their content."""
        found = self._sql.execute(
            "SELECT DISTINCT uri FROM wanted JOIN objects USING (uri)"
            " WHERE wanted.sha256 IS NOT NULL AND objects.sha256 <> wanted.sha256 ORDER BY uri"
        )
        return [uri for (uri,) in found]

    def uris_in(self, state: EntryState, most: int) -> list[str]:
        """The first few objects of a state that a sure reference names."""
        found = self._sql.execute(
            "SELECT uri FROM objects WHERE state = ? AND uri IN (SELECT uri FROM wanted WHERE sure)"
            " ORDER BY uri LIMIT ?",
            (state, most),
        )
        return [uri for (uri,) in found]

    def unresolved_count(self) -> int:
        """How many objects are named that are not in reach."""
        return self._count("SELECT count(*) FROM unresolved")

    def unresolved(self, most: int) -> list[str]:
        """The first few of them."""
        found = self._sql.execute("SELECT named FROM unresolved ORDER BY named LIMIT ?", (most,))
        return [named for (named,) in found]

    def _count(self, query: str) -> int:
        return int(self._sql.execute(query).fetchone()[0])
