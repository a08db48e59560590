"""Judge everything as a collection does, then tell what led to the verdict on one row or one object."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from xcomctl.dialects.interface import UNCLAIMABLE
from xcomctl.errors import NotFoundError
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import count
from xcomctl.inventory.explain.facts import (
    Explanation,
    Keep,
    ObjectFacts,
    PlaceFacts,
    ReferenceFacts,
    RowFacts,
    Verdict,
    latest,
)
from xcomctl.inventory.judging import Question, Sides, judged
from xcomctl.inventory.scan import Scan
from xcomctl.models import ObjectAddress, Root, Row
from xcomctl.policy import Policy, verdicts_sql
from xcomctl.s3.interface import ObjectInfo, Store
from xcomctl.state.trash.contents import contents
from xcomctl.state.trash.places import original_of
from xcomctl.units import exact_duration

MOST_TOLD = 20
"""References of a row, and rows that keep an object, that are told one by one; the others are only counted."""

_JUDGED = (
    *("source_table", "row_key", "dag_run_id", "dag_id", "run_id", "task_id", "map_index", "key"),
    *("written_at", "run_state", "run_at", "run_ended_at", "superseded", "size", "archived"),
    *("names_it", "rule_no", "expires", "reason", "kept_by"),
)
"""What is asked for of a row and the verdict on it."""


def explain(subject: Row | ObjectAddress, sides: Sides, question: Question) -> Explanation:
    """Explain a row or an object, which need not exist, by what `question` lets go. Nothing is changed.

    Raises NotFoundError, UsageError (also for a policy that matches nothing), SourceError, StoreError.
    """
    # One row or object is asked about, so no other row's object is asked for.
    with judged(sides, replace(question, dangling="skip")) as found:
        reasoning = _Reasoning(found.inventory, sides.store, question.policy, found.scan)
        if isinstance(subject, Row):
            references, number = reasoning.references(subject)
            return Explanation(
                explained_at=found.scan.database_at,
                min_age=question.min_age,
                row=reasoning.row(subject),
                references=references,
                references_total=number,
            )
        facts, rows, number = reasoning.object_at(subject)
        places, mentioned = reasoning.places_of(subject)
        return Explanation(
            explained_at=found.scan.database_at,
            min_age=question.min_age,
            object=facts,
            rows=rows,
            rows_total=number,
            places=places,
            places_total=mentioned,
            collects_orphans=question.orphans,
        )


class _Reasoning:
    """Questions about single rows and objects to an inventory that was judged."""

    def __init__(self, inventory: Inventory, store: Store | None, policy: Policy, scan: Scan) -> None:
        self._inventory = inventory
        self._store = store
        self._policy = policy
        self._scan = scan

    def row(self, row: Row) -> RowFacts:
        """The verdict on a row. Raises NotFoundError if it was deleted meanwhile."""
        found = self._judged(
            "SELECT row_id, true AS names_it FROM rows WHERE source_table = $table AND row_key = $row_key",
            {"table": row.table, "row_key": row.row_key},
        )
        if not found:
            raise NotFoundError(f"{row.ref} was deleted just now", hint="xcomctl ls lists what is there")
        return found[0]

    def references(self, row: Row) -> tuple[tuple[ReferenceFacts, ...], int]:
        """The first references of a row with the states of their objects, and how many there are."""
        found = self._inventory.run(
            """
            SELECT coalesce(r.text, ''), r.dialect, r.confidence,
                   list({'bucket': r.bucket, 'key': r.key}) FILTER (WHERE r.key IS NOT NULL)
            FROM refs r JOIN rows w USING (row_id)
            WHERE w.source_table = $table AND w.row_key = $row_key
            GROUP BY r.reference_no, r.text, r.dialect, r.confidence ORDER BY r.reference_no
            """,
            {"table": row.table, "row_key": row.row_key},
        )
        told = tuple(
            ReferenceFacts(
                text,
                dialect,
                confidence,
                tuple(self._facts(ObjectAddress(at["bucket"], at["key"])) for at in addresses or ()),
            )
            for text, dialect, confidence, addresses in found[:MOST_TOLD]
        )
        return told, len(found)

    def object_at(self, address: ObjectAddress) -> tuple[ObjectFacts, tuple[RowFacts, ...], int]:
        """An object, the first rows that keep it (of a copy in the trash: that need it), and how many there are."""
        facts = self._facts(address)
        needed = facts.original or address
        if facts.original is not None and self._facts(facts.original).state not in ("in_trash", "absent"):
            # Its place is taken again: the copy is of no use to any row.
            return facts, (), 0
        parameters: dict[str, object] = {"bucket": needed.bucket, "key": needed.key}
        query = """
            SELECT row_id, bool_or(exact) AS names_it
            FROM links JOIN listed_objects USING (object_id) SEMI JOIN read_rows USING (row_id)
            WHERE bucket = $bucket AND key = $key GROUP BY row_id
        """
        if facts.state in ("in_trash", "absent", "outside"):
            query = """
                SELECT row_id, bool_or(confidence <> 'ambiguous') AS names_it
                FROM refs WHERE bucket = $bucket AND key = $key GROUP BY row_id
            """
        total = count(self._inventory, f"SELECT count(*) FROM ({query})", parameters)  # noqa: S608 - one of the two
        rows = self._judged(f"{query} ORDER BY row_id LIMIT {MOST_TOLD}", parameters) if total else ()
        _, mentioned = self.places_of(address)
        if facts.state == "live" and facts.ends_at is None and total == len(rows) and not mentioned:
            staying = [row.verdict.ends_at for row in rows if not row.verdict.expires]
            facts = replace(facts, ends_at=latest(staying))
        return facts, rows, total

    def places_of(self, address: ObjectAddress) -> tuple[tuple[PlaceFacts, ...], int]:
        """The first places beside the XComs that mention an object, and how many there are."""
        found = self._inventory.run(
            """
            SELECT DISTINCT source_table, field, row_key
            FROM mentioning_places JOIN links USING (row_id) JOIN listed_objects USING (object_id)
            WHERE bucket = $bucket AND key = $key ORDER BY ALL
            """,
            {"bucket": address.bucket, "key": address.key},
        )
        return tuple(PlaceFacts(*one) for one in found[:MOST_TOLD]), len(found)

    def _facts(self, address: ObjectAddress) -> ObjectFacts:
        """What is known of an object, without the rows that keep it."""
        listed = self._inventory.run(
            """
            SELECT o.size, o.last_modified, o.dialect, s.state, s.reason, p.reason,
                   (SELECT count(*) FROM (SELECT DISTINCT row_id FROM links l WHERE l.object_id = o.object_id)
                    SEMI JOIN read_rows USING (row_id) WHERE row_id NOT IN (SELECT row_id FROM expiring_rows))
            FROM objects o JOIN object_states s USING (object_id) LEFT JOIN pinned_objects p USING (object_id)
            WHERE o.bucket = $bucket AND o.key = $key
            """,
            {"bucket": address.bucket, "key": address.key},
        )
        if not listed:
            return self._unlisted(address)
        size, last_modified, dialect, state, reason, pinned, staying = listed[0]
        written = last_modified.replace(tzinfo=timezone.utc)
        told = ObjectFacts(address, state, reason or "", None, size, written, dialect)
        copy_of = original_of(address)
        if copy_of is not None:
            return replace(
                told,
                state="in_trash",
                reason=f"operation {copy_of.operation_id} put {copy_of.original.uri} into the trash",
                operation_id=copy_of.operation_id,
                original=copy_of.original,
            )
        if state == "live" and (keepers := self._keepers(address, staying)):
            return replace(told, reason="; ".join([*keepers, *([pinned] if pinned else [])]))
        if state == "recent":
            grace = (self._scan.store_at or self._scan.database_at) - self._scan.cutoff
            return replace(
                told,
                reason=f"no row that stays references it, and it is younger than {exact_duration(grace)}",
                ends_at=written + grace,
            )
        if state == "orphaned":
            return replace(told, reason="no row references it, and it is older than the grace period")
        if state == "foreign" and (others := self._in_a_root_of_others(address)):
            return replace(told, reason=others)
        if state == "foreign":
            ours = re.search(UNCLAIMABLE, address.key)
            return replace(
                told, reason="no backend writes such a key" if ours else "no dialect claims its key"
            )
        if state == "reserved":
            return replace(told, reason="xcomctl keeps it for itself")
        return told

    def _keepers(self, address: ObjectAddress, staying: int) -> list[str]:
        """What keeps an object, in words, of which so many rows stay."""
        found = []
        if staying:
            found.append("1 row that stays keeps it" if staying == 1 else f"{staying} rows that stay keep it")
        _, places = self.places_of(address)
        if places:
            found.append("1 place mentions it" if places == 1 else f"{places} places mention it")
        return found

    def _in_a_root_of_others(self, address: ObjectAddress) -> str | None:
        found = self._inventory.run(
            "SELECT prefix, label FROM others_roots WHERE bucket = $bucket AND starts_with($key, prefix) LIMIT 1",
            {"bucket": address.bucket, "key": address.key},
        )
        return next(
            (
                f"it lies in {Root(address.bucket, prefix).uri}, the root of another database: {label}"
                for prefix, label in found
            ),
            None,
        )

    def _unlisted(self, address: ObjectAddress) -> ObjectFacts:
        """An object that the listing does not have: the store is asked, and then the trash."""
        if self._store is None or not self._inventory.contains(address):
            return ObjectFacts(
                address, "outside", "it is under none of the given stores, which is all that gc looks at"
            )
        answer = self._store.stat_many([address])[0]
        if isinstance(answer, ObjectInfo):
            reason = "it was uploaded while this was being looked at"
            return ObjectFacts(address, "recent", reason, None, answer.size, answer.last_modified)
        if answer is not None:
            return ObjectFacts(address, "unknown", f"the store does not tell: {answer.cause}")
        for kept in contents(self._store, self._inventory.roots):
            if kept.original == address:
                return ObjectFacts(
                    address,
                    "in_trash",
                    f"operation {kept.operation_id} put it into the trash",
                    None,
                    kept.size,
                    kept.discarded_at,
                    operation_id=kept.operation_id,
                )
        return ObjectFacts(address, "absent", "the store has no such key")

    def _judged(self, wanted: str, parameters: dict[str, object]) -> tuple[RowFacts, ...]:
        """The rows that a query gives as `(row_id, names_it)`, with the verdict on each."""
        self._inventory.run(f"CREATE OR REPLACE TEMP TABLE wanted AS {wanted}", parameters)
        query, given = verdicts_sql(self._policy, self._scan.database_at)
        found = self._inventory.run(
            f"""
            SELECT {{{", ".join(f"'{name}': {name}" for name in _JUDGED)}}}
            FROM ({query}) JOIN wanted USING (row_id) JOIN rows USING (row_id)
            ORDER BY row_id
            """,  # noqa: S608 - the policy's own query
            given,
        )
        return tuple(self._row_facts(record) for (record,) in found)

    def _row_facts(self, record: dict[str, Any]) -> RowFacts:
        """A row with its verdict, of a record with the members `_JUDGED`."""
        row = Row(
            table=record["source_table"],
            row_key=record["row_key"] or "",
            dag_run_id=record["dag_run_id"],
            dag_id=record["dag_id"],
            run_id=record["run_id"],
            task_id=record["task_id"],
            map_index=record["map_index"],
            key=record["key"] or "",
            written_at=_utc(record["written_at"]),
            raw=None,
            run_state=record["run_state"],
            run_at=_utc(record["run_at"]),
            run_ended_at=_utc(record["run_ended_at"]),
            superseded=bool(record["superseded"]),
        )
        keeps = tuple(Keep(keep["kind"], keep["reason"], _utc(keep["ends_at"])) for keep in record["kept_by"])
        rule = self._policy.ordered_rules[record["rule_no"]].place
        verdict = Verdict(record["expires"], record["reason"], keeps, rule)
        return RowFacts(row, record["size"], record["archived"], verdict, record["names_it"])


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=timezone.utc)
