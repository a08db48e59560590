"""Find the rows whose object is gone: suspects by the listing, confirmed by asking the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from xcomctl.dialects.interface import Dialects
from xcomctl.inventory.build import Inventory
from xcomctl.inventory.workspace import sql_text
from xcomctl.models import TERMINAL_RUN_STATES, ObjectAddress
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo, Store, StoreErrorInfo

_BATCH = 1000

_SAMPLE = 250
"""So many of the settled suspects are asked for nevertheless: as many as take a second."""

_LATE = timedelta(hours=1)
"""A row that was written so long before a listing, or longer, had its object before."""


def confirm_dangling(
    inventory: Inventory,
    store: Store | None,
    dialects: Dialects,
    report: Progress = no_progress,
    *,
    listed_at: datetime | None = None,
) -> None:
    """Fill `dangling_rows` (row_id, bucket, key) and `unreachable_rows` (row_id, bucket, key, cause).

    An object that is not in the listing may have been uploaded since, or be listed under another spelling; only
    the store's own "no such key" makes a row dangling. An error of any kind makes it unreachable.

    For a count on which nothing hangs, `listed_at` says when a listing of all the roots began, by the clock of the
    database: suspects that it settles are then asked for only up to a sample, and all of them where one of the sample
    is there after all, or cannot be asked for.
    """
    inventory.run("CREATE OR REPLACE TABLE dangling_rows (row_id BIGINT, bucket VARCHAR, key VARCHAR)")
    inventory.run(
        "CREATE OR REPLACE TABLE unreachable_rows (row_id BIGINT, bucket VARCHAR, key VARCHAR, cause VARCHAR)"
    )
    if store is None:
        return
    inventory.run(
        sql_text("judged_suspects.sql").replace("{suspects}", sql_text("suspects.sql")),
        {
            "before": None if listed_at is None else (listed_at - _LATE).replace(tzinfo=None),
            "over": list(TERMINAL_RUN_STATES),
            "sample": _SAMPLE,
        },
    )
    _ask(inventory, store, dialects, report, "open")
    if _ask(inventory, store, dialects, report, "sample"):
        inventory.run(
            "INSERT INTO dangling_rows SELECT row_id, bucket, key FROM suspects WHERE part = 'rest'"
        )
    else:
        _ask(inventory, store, dialects, report, "rest")
    inventory.run("DROP TABLE suspects")


def _ask(inventory: Inventory, store: Store, dialects: Dialects, report: Progress, part: str) -> bool:
    """Ask for the suspects of one part; whether all are gone."""
    # A cursor of its own: the results are read while the tables are written.
    suspects = inventory.sql.cursor().execute(
        "SELECT * EXCLUDE (part) FROM suspects WHERE part = $part ORDER BY row_id, reference_no",
        {"part": part},
    )
    all_gone = True
    pending: list[tuple[Any, ...]] = []
    while batch := suspects.fetchmany(_BATCH):
        pending += batch
        if len(batch) < _BATCH:
            break
        # A reference with several addresses must not be cut in two.
        last = pending[-1][:2]
        whole = [row for row in pending if row[:2] != last]
        pending = [row for row in pending if row[:2] == last]
        all_gone &= _confirm(inventory, store, dialects, whole)
        report("references", len(whole))
    all_gone &= _confirm(inventory, store, dialects, pending)
    report("references", len(pending))
    return all_gone


def _confirm(inventory: Inventory, store: Store, dialects: Dialects, suspects: list[tuple[Any, ...]]) -> bool:
    # A string that may be the user's own path is no finding unless a backend writes such keys.
    suspects = [s for s in suspects if s[2] != "ambiguous" or dialects.claim(s[4]) is not None]
    if not suspects:
        return True
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
    inventory.insert("dangling_rows", dangling)
    inventory.insert("unreachable_rows", unreachable)
    return all(answer is None for answer in answers)
