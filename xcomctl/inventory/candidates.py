"""Where objects come from a stored listing: ask the store for those with which something is about to be done."""

from __future__ import annotations

from datetime import datetime, timezone

from xcomctl.errors import StoreError
from xcomctl.inventory.build import Inventory
from xcomctl.models import ObjectAddress
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo, Store, StoreErrorInfo

_BATCH = 2_000


def confirm_candidates(
    inventory: Inventory, store: Store, *, orphans: bool, cutoff: datetime, report: Progress = no_progress
) -> None:
    """Bring the objects up to date that are to go, and with `orphans` also the orphaned ones, in a classified inventory.

    What is gone leaves the inventory. What was written again since the listing is `recent`, unless that was before
    `cutoff`. All others are from now on as the store describes them. Raises StoreError if one cannot be asked for.
    """
    inventory.run(
        """
        CREATE OR REPLACE TABLE candidates AS
        SELECT object_id, o.bucket, o.key, o.size, o.etag, o.last_modified,
               row_number() OVER (PARTITION BY o.bucket, o.key ORDER BY object_id) > 1 AS repeated
        FROM object_states s JOIN listed_objects o USING (object_id)
        WHERE s.state = 'expired' OR (s.state = 'orphaned' AND s.in_scope AND $orphans)
        """,
        {"orphans": orphans},
    )
    _ask(inventory, store, "SELECT bucket, key FROM candidates WHERE NOT repeated", report)
    inventory.run(
        """
        CREATE OR REPLACE TABLE outdated AS
        SELECT object_id FROM candidates LEFT JOIN present USING (bucket, key) WHERE repeated OR present.key IS NULL
        """
    )
    inventory.run(
        """
        CREATE OR REPLACE TABLE described AS
        SELECT c.object_id, p.size, p.etag, p.last_modified,
               -- A listing may be more exact about times than the store's answer is.
               (p.size, p.etag, date_trunc('second', p.last_modified))
                   IS DISTINCT FROM (c.size, c.etag, date_trunc('second', c.last_modified)) AS changed
        FROM candidates c JOIN present p USING (bucket, key) WHERE NOT c.repeated
        """
    )
    for table in ("listed_objects", "object_states"):
        inventory.run(f"DELETE FROM {table} WHERE object_id IN (SELECT object_id FROM outdated)")  # noqa: S608
    inventory.run(
        "UPDATE listed_objects SET size = d.size, etag = d.etag, last_modified = d.last_modified"
        " FROM described d WHERE d.object_id = listed_objects.object_id"
    )
    inventory.run(
        "UPDATE object_states SET state = 'recent' WHERE object_id IN"
        " (SELECT object_id FROM described WHERE changed AND last_modified > $cutoff)",
        {"cutoff": cutoff.replace(tzinfo=None)},
    )


def find_occupied(inventory: Inventory, store: Store, report: Progress = no_progress) -> None:
    """Make `places_taken` (bucket, key) those places of `discarded` objects in which there is an object now.

    Only places that a row references are asked for. Raises StoreError if one cannot be asked for.
    """
    _ask(
        inventory,
        store,
        "SELECT DISTINCT d.bucket, d.original_key FROM discarded d"
        " JOIN refs r ON r.bucket = d.bucket AND r.key = d.original_key",
        report,
    )
    inventory.run("CREATE OR REPLACE VIEW places_taken AS SELECT bucket, key FROM present")


def _ask(inventory: Inventory, store: Store, query: str, report: Progress) -> None:
    """Fill `present` with those of the objects of `query` (bucket, key) that are there, as the store describes them."""
    inventory.run(
        "CREATE OR REPLACE TABLE present"
        " (bucket VARCHAR, key VARCHAR, size BIGINT, etag VARCHAR, last_modified TIMESTAMP)"
    )
    # A cursor of its own: the results are read while the table above is written.
    asked = inventory.sql.cursor().execute(query)
    while batch := asked.fetchmany(_BATCH):
        addresses = [ObjectAddress(bucket, key) for bucket, key in batch]
        found = []
        for address, answer in zip(addresses, store.stat_many(addresses), strict=True):
            if isinstance(answer, StoreErrorInfo):
                raise StoreError(f"{address.uri} cannot be asked for: {answer.cause}", hint=answer.hint)
            if answer is not None:
                found.append(answer)
        inventory.insert("present", [_record(one) for one in found])
        report("candidates", len(batch))


def _record(found: ObjectInfo) -> tuple[object, ...]:
    address, written = found.address, found.last_modified.astimezone(timezone.utc).replace(tzinfo=None)
    return (address.bucket, address.key, found.size, found.etag, written)
