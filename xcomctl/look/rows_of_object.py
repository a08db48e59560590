"""Which XComs an object is the value of: the way back from an object to its rows, for which all rows are read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from xcomctl.airflow.interface import Selection
from xcomctl.dialects.whole_value import whole_references
from xcomctl.errors import NotFoundError
from xcomctl.globs import escaped
from xcomctl.inventory import Inventory
from xcomctl.inventory.workspace import Resources
from xcomctl.look.refs import Access
from xcomctl.models import ObjectAddress, Row
from xcomctl.progress import Progress, no_progress
from xcomctl.units import quantity


def rows_of_object(
    address: ObjectAddress,
    access: Access,
    *,
    resources: Resources | None = None,
    report: Progress = no_progress,
) -> list[Row]:
    """The rows, of any attempt, whose value is a reference to this object, as `ls` tells it. There is at least one.

    Raises NotFoundError where no row references the object, or values only hold it somewhere inside, SourceError,
    StoreError.
    """
    with Inventory(access.dialects, access.roots, resources=resources, report=report) as inventory:
        with access.source.snapshot() as snapshot:
            inventory.add_rows(snapshot.batches(include_archives=False))
        named = inventory.run(
            """
            SELECT source_table, row_key, dag_id, run_id, task_id, map_index, key FROM rows
            WHERE row_id IN (SELECT row_id FROM refs WHERE bucket = $bucket AND key = $key) ORDER BY row_id
            """,
            {"bucket": address.bucket, "key": address.key},
        )
    found = [row for place in named for row in _again(access, *place) if _is_value(address, row, access)]
    if found:
        return found
    hint = f"xcomctl explain {shlex.quote(address.uri)}"
    if named:
        raise NotFoundError(
            f"{address.uri} is the value of no XCom, only mentioned in {quantity(len(named), 'value')}",
            hint=f"name the rows of these values; {hint} shows them",
        )
    raise NotFoundError(f"no row references {address.uri}", hint=f"{hint} tells what becomes of it")


def _again(
    access: Access, table: str, row_key: str, dag: str, run: str, task: str, map_index: int, key: str
) -> Iterator[Row]:
    """The row as it is now, with its value, which an inventory does not keep."""
    place = Selection(escaped(dag), escaped(run), escaped(task), escaped(key), map_index, all_attempts=True)
    return (row for row in access.source.rows(place) if (row.table, row.row_key) == (table, row_key))


def _is_value(address: ObjectAddress, row: Row, access: Access) -> bool:
    for reference in whole_references(row.raw, access.dialects, access.roots):
        if address in reference.addresses:
            # Text that may be a reference is one if its object is there, and otherwise the value that it looks like.
            return reference.confidence != "ambiguous" or access.store.stat(address) is not None
    return False
