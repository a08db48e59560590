"""Moving objects into the trash, in the way that their bucket allows; and settling what became of an attempt.

- `marker`: the bucket keeps versions. A deletion hides the object behind a delete marker.
- `copy`: the object is copied inside the store, the copy confirmed, and the object deleted if it is still the same.
- `none`: it is deleted if it is still the same. Only where no trash is wanted, and only keys that no writer puts twice:
  a second write of the same bytes cannot be told from the first.
- `kept`: nothing is done. The store cannot delete on a condition, and a writer may put this key again at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import Capabilities, Store
from xcomctl.state.trash.by_copy import discard_by_copy, settle_copies
from xcomctl.state.trash.by_marker import discard_by_marker, settle_markers
from xcomctl.state.trash.intents import DeleteCandidate, DiscardOutcome, Intent, Way
from xcomctl.state.trash.places import copy_address, ledger_address


class Trash:
    """The trash of one operation. `keep` is how long things stay in it; zero is not at all."""

    def __init__(
        self, store: Store, operation_id: str, capabilities: Mapping[Root, Capabilities], keep: timedelta
    ) -> None:
        self.keep = keep
        self._store = store
        self._operation_id = operation_id
        self._capabilities = capabilities

    def way(self, candidate: DeleteCandidate) -> Way:
        """How this object can go."""
        can = self._capabilities[self._root(candidate.info.address)]
        if can.versioning == "enabled":
            return "marker"
        if candidate.reusable and not (can.conditional_delete or can.conditional_batch):
            return "kept"
        # A conditional deletion alone takes a second write of the same bytes for the first: a copy outlives that.
        return "none" if not self.keep and not candidate.reusable else "copy"

    def intend(self, objects: Sequence[DeleteCandidate]) -> list[Intent]:
        """What would be done with each object, for the journal."""
        intents = []
        for candidate in objects:
            way, address = self.way(candidate), candidate.info.address
            root = self._root(address)
            copy = copy_address(root, self._operation_id, address) if way == "copy" else None
            intents.append(Intent(candidate.info, way, copy))
        return intents

    def discard(self, intents: Sequence[Intent], number: int) -> list[DiscardOutcome]:
        """Do it; one outcome each, in order. `number` is that of the step in the journal.

        Raises StoreError where the store fails so that it is not known what became of them: `settle` asks later.
        """

        def ledger_of(address: ObjectAddress) -> ObjectAddress:
            return ledger_address(self._root(address), self._operation_id, number)

        outcomes = [DiscardOutcome(intent.info, "kept") for intent in intents if intent.way == "kept"]
        at_once = [intent.info for intent in intents if intent.way == "none"]
        for info, deletion in zip(at_once, self._store.delete(at_once), strict=True):
            outcomes.append(DiscardOutcome(info, deletion.result, deletion.cause))
        for way, run_plan in (("copy", discard_by_copy), ("marker", discard_by_marker)):
            chosen = [intent for intent in intents if intent.way == way]
            if chosen:
                outcomes += run_plan(self._store, self._operation_id, chosen, ledger_of)
        return _in_order(intents, outcomes)

    def settle(self, intents: Sequence[Intent], number: int) -> list[DiscardOutcome]:
        """What became of an attempt of which no outcome is known, by asking the store. Raises StoreError."""

        def ledger_of(address: ObjectAddress) -> ObjectAddress:
            return ledger_address(self._root(address), self._operation_id, number)

        outcomes = [DiscardOutcome(intent.info, "kept") for intent in intents if intent.way == "kept"]
        hidden = [intent for intent in intents if intent.way == "marker"]
        other = [intent for intent in intents if intent.way in ("copy", "none")]
        if hidden:
            outcomes += settle_markers(self._store, self._operation_id, hidden, ledger_of)
        if other:
            outcomes += settle_copies(self._store, self._operation_id, other, ledger_of)
        return _in_order(intents, outcomes)

    def _root(self, address: ObjectAddress) -> Root:
        return next(root for root in self._capabilities if root.contains(address))


def _in_order(intents: Sequence[Intent], outcomes: Sequence[DiscardOutcome]) -> list[DiscardOutcome]:
    by_address = {outcome.info.address: outcome for outcome in outcomes}
    return [by_address[intent.info.address] for intent in intents]
