"""The scan of one shard: its own rows and objects, and what of the others is needed to judge them rightly.

Keeping knows no shards: a row of any DAG may name an object of mine, and only its own DAG's rows tell whether it
expires. So whatever no row of mine keeps is looked for in all other rows, and the DAGs of those that name it are
read whole. A row of mine may name objects of others: where there are many of these they are listed, else asked for.
What is of others is dropped when everything is judged, and is nobody's finding but its owner's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from xcomctl.airflow.interface import Snapshot
from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.shards import Shard, name_of
from xcomctl.inventory.trash_contents import load_discarded
from xcomctl.inventory.workspace import Resources
from xcomctl.models import RESERVED_FOLDER, ObjectAddress, Root
from xcomctl.policy import Policy, expiring_rows_sql
from xcomctl.s3.interface import ObjectInfo, Store, object_schema

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ASKED_FOR = 1000
"""So many objects of others are asked for one by one; of more, the folders are listed."""

_SAMPLE = 100
"""References of others by which it is told whether database and store belong together."""

_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class OtherShards:
    """What the scan of a shard saw of the others, for the guards: zero where it did not have to look."""

    names: frozenset[str] = frozenset()
    """Of the folders below the roots: DAGs, in most layouts."""
    rows: int = 0
    """Of the live tables."""
    unreadable: int = 0
    """Rows that name a place below a root in a way that no dialect reads, ..."""
    example: str | None = None
    """... and one of them."""
    referring: int = 0
    """References under the roots, a sample of them ..."""
    present: int = 0
    """... and how many of these have an object."""


NO_OTHERS = OtherShards()


class ShardScan:
    """Which shard is looked at, and by which policy. `with_trash`: also what is in the trash is judged.

    `deletes_besides` says, once the objects are listed, whether anything may be deleted besides rows and objects: the
    guards then want to know of the others, too.

    One is used for one scan: `objects`, then `read`, and `drop_others` when everything is judged.
    """

    def __init__(
        self,
        shard: Shard,
        policy: Policy,
        dialects: Dialects,
        *,
        with_trash: bool,
        deletes_besides: Callable[[], bool] = lambda: False,
        resources: Resources | None = None,
    ) -> None:
        self.shard = shard
        self._policy = policy
        self._dialects = dialects
        self._with_trash = with_trash
        self._deletes_besides = deletes_besides
        own = resources or Resources()
        # What is looked up elsewhere lies beside the inventory of the shard.
        self._resources = replace(own, memory=own.memory // 4)
        self._names: set[str] = set()

    def objects(
        self, store: Store, root: Root, listed: Iterator[pa.RecordBatch] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """List the objects of this shard below `root`, and what the tool keeps there. Raises StoreError.

        `listed` is a listing of the whole root, if there is one: then nothing but its folders is listed.
        """
        folders = store.folders(root)
        self._names |= {name_of(folder) for folder in folders if folder != RESERVED_FOLDER}
        if listed is not None:
            yield from self._of_mine(root, listed)
            return
        for folder in folders:
            if self.shard.takes_key(folder):
                yield from store.batches(Root(root.bucket, root.prefix + folder))
        yield from self._of_mine(root, store.loose(root))

    def _of_mine(
        self, root: Root, batches: Iterator[pa.RecordBatch], *, mine: bool = True
    ) -> Iterator[pa.RecordBatch]:
        import pyarrow.compute as pc

        for batch in batches:
            below = pc.utf8_slice_codeunits(batch.column("key"), len(root.prefix))
            taken = self.shard.taken(below)
            yield batch.filter(taken if mine else pc.invert(taken))

    def read(
        self, inventory: Inventory, snapshot: Snapshot, store: Store | None, *, include_archives: bool
    ) -> OtherShards:
        """Add the rows of this shard, then whatever of the others is needed to judge them and the objects.

        Raises SourceError, StoreError.
        """
        mine = {dag_id for dag_id in snapshot.dag_ids() if self.shard.takes(dag_id)}
        self._prepare(inventory, mine)
        inventory.add_rows(snapshot.batches(include_archives=include_archives, dag_ids=mine))
        inventory.add_mentions(snapshot.mentions(inventory.roots))
        self._add_objects_of_others(inventory, store)
        if self._with_trash and store is not None:
            load_discarded(inventory, store)
        others, dag_ids = self._ask_others(inventory, snapshot, store, mine, include_archives)
        if dag_ids:
            # Rows that name no DAG come along with any; they are there already.
            needed = snapshot.batches(include_archives=include_archives, dag_ids=dag_ids)
            inventory.add_rows(_of_a_dag(needed, without=frozenset()))
            if any(rule.min_size for rule in self._policy.ordered_rules):
                # Whether these rows expire depends on the size of their objects.
                self._add_objects_of_others(inventory, store)
        return others

    def drop_others(self, inventory: Inventory) -> None:
        """Drop what is of other shards: rows, and the states of objects. To be called when everything is judged."""
        inventory.run_script("drop_others.sql", {"nameless": self.shard.takes_nameless})

    def own(self, inventory: Inventory, actions: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Those of `actions` (batches with the columns of a plan's actions) that are of this shard."""
        import pyarrow as pa

        for batch in actions:
            yield batch.filter(
                pa.array([self._does(inventory, one) for one in batch.to_pylist()], pa.bool_())
            )

    def _does(self, inventory: Inventory, action: dict[str, Any]) -> bool:
        if action["action"] != "delete_row":
            return self._takes(inventory, ObjectAddress(action["bucket"], action["object_key"]))
        dag_id = action["dag_id"]
        return self.shard.takes_nameless if dag_id is None else self.shard.takes(dag_id)

    def _takes(self, inventory: Inventory, address: ObjectAddress) -> bool:
        root = next((root for root in inventory.roots if root.contains(address)), Root(address.bucket))
        return self.shard.takes_key(address.key[len(root.prefix) :])

    def _prepare(self, inventory: Inventory, mine: set[str]) -> None:
        """Note what is of this shard, for `drop_others`."""
        import pyarrow as pa

        inventory.sql.register("batch", pa.table({"dag_id": pa.array(sorted(mine), pa.string())}))
        inventory.run("CREATE OR REPLACE TABLE shard_dags AS SELECT * FROM batch")
        inventory.sql.unregister("batch")
        inventory.run(
            "CREATE OR REPLACE TABLE shard_objects AS SELECT coalesce(max(object_id), -1) AS last FROM listed_objects"
        )

    def _add_objects_of_others(self, inventory: Inventory, store: Store | None) -> None:
        """Add the objects of others that the rows name, as far as they are there."""
        if store is None:
            return
        before = inventory.run("SELECT count(*) FROM listed_objects")
        for root in inventory.roots:
            folders = dict(
                inventory.run(
                    f"SELECT coalesce(regexp_extract(substr(key, $length + 1), '^[^/]*/'), ''), count(*) FROM ({_ABSENT})"  # noqa: S608
                    " WHERE bucket = $bucket AND starts_with(key, $prefix) GROUP BY ALL ORDER BY ALL",
                    {"length": len(root.prefix), "bucket": root.bucket, "prefix": root.prefix},
                )
            )
            # Of a folder of this shard everything was listed; of the loose objects, a part.
            others = {
                folder: number
                for folder, number in folders.items()
                if not folder or not self.shard.takes_key(folder)
            }
            for folder, number in others.items() if sum(others.values()) > MOST_ASKED_FOR else ():
                place = Root(root.bucket, root.prefix + folder)
                listed = (
                    store.batches(place) if folder else self._of_mine(root, store.loose(root), mine=False)
                )
                # A page of a listing costs what a question for one object does.
                inventory.add_objects(root, islice(listed, number))
        absent = inventory.sql.cursor().execute(_ABSENT)
        while found := absent.fetchmany(_AT_A_TIME):
            wanted = [ObjectAddress(bucket, key) for bucket, key in found]
            answers = store.stat_many([one for one in wanted if not self._takes(inventory, one)])
            inventory.add_described([answer for answer in answers if isinstance(answer, ObjectInfo)])
        if inventory.run("SELECT count(*) FROM listed_objects") != before:
            inventory.add_rows(())

    def _ask_others(
        self,
        inventory: Inventory,
        snapshot: Snapshot,
        store: Store | None,
        mine: set[str],
        include_archives: bool,
    ) -> tuple[OtherShards, set[str]]:
        """What the rows of others tell, and the DAGs of those that name an object which no row of mine keeps.

        The rows are read where there is such an object, or something else to delete.
        """
        names = frozenset(self._names)
        query, parameters = expiring_rows_sql(self._policy, snapshot.taken_at)
        inventory.run(f"CREATE OR REPLACE TABLE expiring_rows AS {query}", parameters)
        inventory.run_script("shard_candidates.sql", {"reserved": _RESERVED_PATTERN})
        if not inventory.run("SELECT 1 FROM shard_candidates LIMIT 1") and not self._deletes_besides():
            return OtherShards(names), set()
        with Inventory(self._dialects, inventory.roots, resources=self._resources) as others:
            for root in others.roots:
                others.add_objects(root, _candidates(inventory, root))
            outside = snapshot.batches(include_archives=include_archives)
            others.add_rows(_of_a_dag(outside, without=frozenset(mine)))
            ((rows,),) = others.run("SELECT count(*) FROM rows WHERE NOT archived")
            ((unreadable, example),) = others.run(_UNREADABLE)
            sample = [ObjectAddress(*found) for found in others.run(_REFERENCES, {"most": _SAMPLE})]
            dag_ids = {
                dag_id
                for (dag_id,) in others.run("SELECT DISTINCT dag_id FROM rows JOIN links USING (row_id)")
            }
        found = store.stat_many(sample) if store is not None else []
        present = sum(isinstance(one, ObjectInfo) for one in found)
        return OtherShards(names, rows, unreadable, example, len(sample), present), dag_ids


_RESERVED_PATTERN = rf"(^|/){RESERVED_FOLDER.replace('.', '[.]')}"

_ABSENT = """
    SELECT DISTINCT r.bucket, r.key FROM refs r JOIN rows w ON w.row_id = r.row_id AND NOT w.archived
    WHERE r.under_root AND NOT EXISTS (SELECT 1 FROM listed_objects o WHERE o.bucket = r.bucket AND o.key = r.key)
"""

# Here a row is linked to candidates only. One that merely mentions an object of another shard counts as unreadable,
# too: better a refusal than an object that is not found to be needed.
_UNREADABLE = """
    SELECT count(*), min(dag_id || '/' || run_id || '/' || task_id || ':' || key)
    FROM rows WHERE names_root AND reference IS NULL AND NOT archived
      AND row_id NOT IN (SELECT row_id FROM careful_refs WHERE key IS NOT NULL)
      AND row_id NOT IN (SELECT row_id FROM links)
"""

# By a digest, so that the same rows give the same number: a guard is overruled by it.
_REFERENCES = """
    SELECT DISTINCT r.bucket, r.key FROM refs r JOIN rows w ON w.row_id = r.row_id AND NOT w.archived
    WHERE r.under_root AND r.confidence <> 'ambiguous' ORDER BY md5(r.key), r.bucket LIMIT $most
"""


def _of_a_dag(batches: Iterator[pa.RecordBatch], *, without: frozenset[str]) -> Iterator[pa.RecordBatch]:
    """The rows that name a DAG, but those of some DAGs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    left_out = pa.array(sorted(without), pa.string())
    for batch in batches:
        dag_ids = batch.column("dag_id")
        yield batch.filter(pc.and_not(pc.is_valid(dag_ids), pc.is_in(dag_ids, value_set=left_out)))


def _candidates(inventory: Inventory, root: Root) -> Iterator[pa.RecordBatch]:
    found = inventory.sql.sql(
        "SELECT bucket, key, size, etag, last_modified FROM shard_candidates"
        " WHERE bucket = $bucket AND starts_with(key, $prefix)",
        params={"bucket": root.bucket, "prefix": root.prefix},
    )
    for batch in found.to_arrow_reader(10_000):
        yield batch.cast(object_schema())
