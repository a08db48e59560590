"""What is in the trash, by listing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timezone

from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import ObjectInfo, Store
from xcomctl.state.trash.entries import TrashEntry
from xcomctl.state.trash.ledger import read_ledger
from xcomctl.state.trash.places import TRASH_FOLDER, ledger_operation, original_of


def contents(store: Store, roots: Sequence[Root]) -> Iterator[TrashEntry]:
    """Everything in the trash of these roots, streamed, operation by operation. Raises StoreError, UnreadableError."""
    for root in roots:
        # Copies that have a digest for a name come right after the ledgers that tell whose they are.
        told: dict[ObjectAddress, TrashEntry] = {}
        for info in _listed(store, root):
            known = original_of(info.address)
            if known is not None:
                yield TrashEntry(
                    known.original, known.operation_id, info.size, info.etag, info.last_modified, info
                )
            elif ledger_operation(info.address) is not None:
                for entry in read_ledger(store, info.address):
                    if isinstance(entry.kept_as, ObjectInfo):
                        told[entry.kept_as.address] = entry
                    else:
                        yield entry
            elif info.address in told:
                yield told.pop(info.address)


def _listed(store: Store, root: Root) -> Iterator[ObjectInfo]:
    for batch in store.batches(Root(root.bucket, root.prefix + TRASH_FOLDER), in_order=True):
        for record in batch.to_pylist():
            at = record["last_modified"].astimezone(timezone.utc)
            address = ObjectAddress(record["bucket"], record["key"])
            yield ObjectInfo(address, record["size"], record["etag"], at)
