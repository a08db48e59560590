"""Other roots that lie inside of the given ones: the listing shows the folders in which the tool keeps its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from xcomctl.inventory.build import Inventory
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.state.ownership import OwnedRoot

_FOLDER = rf"(?s)^((?:.*?/)?){re.escape(RESERVED_FOLDER)}"

# Of what stays of a trial of the bucket nothing follows.
_FOUND = """
    SELECT DISTINCT bucket, prefix
    FROM (
        SELECT bucket, key, regexp_extract(key, $folder, 1) AS prefix
        FROM listed_objects WHERE claim IS NULL AND contains(key, $reserved) AND regexp_matches(key, $folder)
    )
    WHERE NOT starts_with(substr(key, length(prefix) + length($reserved) + 1), 'probe/')
"""


def nested_roots(inventory: Inventory) -> list[Root]:
    """Every root in which the tool was at work and that lies inside of one of the inventory's, as far as it was listed."""
    found = inventory.run(_FOUND, {"folder": _FOLDER, "reserved": RESERVED_FOLDER})
    return sorted({Root(bucket, prefix) for bucket, prefix in found} - set(inventory.roots))


def set_aside(inventory: Inventory, others: Iterable[OwnedRoot]) -> None:
    """Let what lies in the roots of others be nobody's candidate, and what they keep for themselves be unseen."""
    inventory.insert("others_roots", [(one.root.bucket, one.root.prefix, one.label) for one in others])
    inventory.run(
        "DELETE FROM listed_objects WHERE claim IS NULL AND EXISTS ("
        "SELECT 1 FROM others_roots r WHERE r.bucket = listed_objects.bucket"
        " AND starts_with(listed_objects.key, r.prefix || $reserved))",
        {"reserved": RESERVED_FOLDER},
    )
