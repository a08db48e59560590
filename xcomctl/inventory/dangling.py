"""Find the rows whose object is gone: suspects by the listing, each confirmed by asking the store."""

from __future__ import annotations

from importlib import resources
from itertools import groupby
from typing import Any

from xcomctl.dialects.interface import Dialects
from xcomctl.inventory.build import Inventory, Report, silent
from xcomctl.models import ObjectAddress
from xcomctl.stores.interface import ObjectInfo, Store, StoreErrorInfo

_BATCH = 1000


def confirm_dangling(
    inventory: Inventory, store: Store | None, dialects: Dialects, report: Report = silent
) -> None:
    """Fill `dangling_rows` (row_id, bucket, key) and `unreachable_rows` (row_id, bucket, key, cause).

    An object that is not in the listing may have been uploaded since, or be listed under another spelling; only
    the store's own "no such key" makes a row dangling. An error of any kind makes it unreachable.
    """
    inventory.run("CREATE OR REPLACE TABLE dangling_rows (row_id BIGINT, bucket VARCHAR, key VARCHAR)")
    inventory.run(
        "CREATE OR REPLACE TABLE unreachable_rows (row_id BIGINT, bucket VARCHAR, key VARCHAR, cause VARCHAR)"
    )
    if store is None:
        return
    query = resources.files("xcomctl.inventory").joinpath("suspects.sql").read_text(encoding="utf-8")
    # A cursor of its own: the results are read while the tables above are written.
    suspects = inventory.sql.cursor().execute(query)
    pending: list[tuple[Any, ...]] = []
    while batch := suspects.fetchmany(_BATCH):
        pending += batch
        # A reference with several addresses must not be cut in two.
        last = pending[-1][:2]
        whole = [row for row in pending if row[:2] != last]
        pending = [row for row in pending if row[:2] == last]
        _confirm(inventory, store, dialects, whole)
        report("references", len(whole))
    _confirm(inventory, store, dialects, pending)


def _confirm(inventory: Inventory, store: Store, dialects: Dialects, suspects: list[tuple[Any, ...]]) -> None:
    # A string that may be the user's own path is no finding unless a backend writes such keys.
    suspects = [s for s in suspects if s[2] != "ambiguous" or dialects.claim(s[4]) is not None]
    if not suspects:
        return
    answers = store.stat_many([ObjectAddress(s[3], s[4]) for s in suspects])
    dangling, unreachable = [], []
    for (row_id, _), group in groupby(zip(suspects, answers, strict=True), key=lambda pair: pair[0][:2]):
        readings = list(group)
        if any(isinstance(answer, ObjectInfo) for _, answer in readings):
            continue
        (_, _, _, bucket, key), _ = readings[0]
        causes = [answer.cause for _, answer in readings if isinstance(answer, StoreErrorInfo)]
        if causes:
            unreachable.append((row_id, bucket, key, causes[0]))
        else:
            dangling.append((row_id, bucket, key))
    if dangling:
        inventory.sql.executemany("INSERT INTO dangling_rows VALUES (?, ?, ?)", dangling)
    if unreachable:
        inventory.sql.executemany("INSERT INTO unreachable_rows VALUES (?, ?, ?, ?)", unreachable)
