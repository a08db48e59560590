"""The journal: what every operation was about to do, and what came of it, kept in the store.

An operation has a folder, `<home>/.xcomctl/journal/<operation id>/`, in the home root, the first of the sorted outermost
roots. Each object in it is written once and never changed:

- `began.json`: who, when, which command, which roots and database.
- `000001-delete_rows-intent.parquet`: the first step, an entry for each thing that is about to be done. It is in the
  store before the step begins.
- `000001-outcome.parquet`: what came of the entries of this step.
- `ended.json`: how the operation ended, with its totals. Without it the operation is still at work, or was cut off.

The entries of a step about rows are columns (Parquet), those of one about objects are lines (`.ndjson.gz`), as all were
in journals of earlier releases.

What an entry holds is up to the one who does the step. Entries about rows hold their values, so that they can be brought
back: whoever may read the bucket may read them.
"""

from xcomctl.state.journal.columns import outcome_table
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
from xcomctl.state.journal.writing import Entries, Journal

__all__ = [
    "Damage",
    "Entries",
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
    "outcome_table",
    "require_own_roots",
    "steps",
    "unfinished",
]
