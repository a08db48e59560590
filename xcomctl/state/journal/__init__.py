"""The journal: what every operation was about to do, and what came of it, kept in the store.

An operation has a folder, `<home>/.xcomctl/journal/<operation id>/`, in the home root, the first of the sorted outermost
roots. Each object in it is written once and never changed:

- `began.json`: who, when, which command, which roots and database.
- `000001-delete_rows-intent.ndjson.gz`: the first step, an entry for each thing that is about to be done. It is in the
  store before the step begins.
- `000001-outcome.ndjson.gz`: what came of the entries of this step.
- `ended.json`: how the operation ended, with its totals. Without it the operation is still at work, or was cut off.

What an entry holds is up to the one who does the step. Entries about rows hold their values, so that they can be brought
back: whoever may read the bucket may read them.
"""

from xcomctl.state.journal.reading import Damage, find, operations, require_own_roots, steps, unfinished
from xcomctl.state.journal.records import (
    Invocation,
    JournalEntry,
    JournalStep,
    OperationRecord,
    State,
    StepKind,
    home_of,
    new_operation_id,
)
from xcomctl.state.journal.writing import Journal

__all__ = [
    "Damage",
    "Invocation",
    "Journal",
    "JournalEntry",
    "JournalStep",
    "OperationRecord",
    "State",
    "StepKind",
    "find",
    "home_of",
    "new_operation_id",
    "operations",
    "require_own_roots",
    "steps",
    "unfinished",
]
