"""The last look of an operation: what it took away and a row names by now is brought back at once.

A writer that puts a key again between our check and our deletion, with the very same bytes, is not told from the
first by any condition that S3 has. Its row is written after its upload: here it is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from xcomctl.airflow.interface import Source
from xcomctl.gc.apply.references import RowReading, link_rows
from xcomctl.inventory import Inventory
from xcomctl.models import Root
from xcomctl.state.operation import RowsSeen
from xcomctl.state.trash.entries import TrashEntry
from xcomctl.state.trash.intents import DiscardOutcome, discarded_of

_AT_A_TIME = 1000

_MOST_MEMORY = 512 << 20
"""Beside it, another inventory asks which objects may go."""


class Verification:
    """Remembers what went to the trash, on disk where it is much. A context manager."""

    def __init__(
        self,
        reading: RowReading,
        roots: Sequence[Root],
        operation_id: str,
    ) -> None:
        limits = replace(reading.resources, memory=min(reading.resources.memory, _MOST_MEMORY))
        self._ignore_archives = reading.ignore_archives
        self._inventory = Inventory(reading.dialects, roots, resources=limits, search_substring_keys=True)
        self._operation_id = operation_id
        self._inventory.run(
            "CREATE TABLE trashed (bucket VARCHAR, key VARCHAR, entry VARCHAR, referenced BOOLEAN)"
        )
        self.is_empty = True

    def __enter__(self) -> Verification:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inventory.__exit__(kind, error, trace)

    def add(self, outcomes: Sequence[DiscardOutcome]) -> None:
        """Remember those that went to the trash."""
        trashed = [outcome for outcome in outcomes if outcome.discarded is not None]
        if not trashed:
            return
        self.is_empty = False
        self._inventory.add_described([outcome.info for outcome in trashed])
        self._inventory.insert(
            "trashed",
            [
                (outcome.info.address.bucket, outcome.info.address.key, json.dumps(outcome.entry()), False)
                for outcome in trashed
            ],
        )

    def read_rows(self, source: Source) -> RowsSeen:
        """Read every row once more, and tell how much there is. Raises SourceError."""
        seen = link_rows(self._inventory, source, ignore_archives=self._ignore_archives)
        self._inventory.run(
            "UPDATE trashed SET referenced = true WHERE (bucket, key) IN"
            " (SELECT (bucket, key) FROM listed_objects JOIN links USING (object_id))"
        )
        return seen

    def referenced(self) -> Iterator[list[TrashEntry]]:
        """What a row names by now, some at a time."""
        return self._found("referenced")

    def unreferenced(self) -> Iterator[list[TrashEntry]]:
        """The rest, some at a time."""
        return self._found("NOT referenced")

    def _found(self, condition: str) -> Iterator[list[TrashEntry]]:
        query = f"SELECT entry FROM trashed WHERE {condition} ORDER BY bucket, key"  # noqa: S608 - constants
        cursor = self._inventory.sql.cursor().execute(query)
        while records := cursor.fetchmany(_AT_A_TIME):
            found = (discarded_of(json.loads(entry), self._operation_id) for (entry,) in records)
            yield [one for one in found if one is not None]
