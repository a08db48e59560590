"""Backups of worlds that real Airflow releases wrote: what is copied, what a check notices, what comes back."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.services.deployment import Deploy, Deployment
from tests.services.worlds import World
from xcomctl.backup import BackupResult, back_up, backup_ids, read_manifest, split_place, verify
from xcomctl.backup import create as create_module
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import NotFoundError, RefusedError, StoreError
from xcomctl.metadata.database import DatabaseSource
from xcomctl.metadata.interface import RowTarget, Selection
from xcomctl.models import ObjectAddress, Root, digest_of
from xcomctl.restore import RestoreResult, restore
from xcomctl.stores.folder_shelf import FolderShelf
from xcomctl.stores.s3 import S3Settings, S3Store
from xcomctl.stores.s3_shelf import S3Shelf
from xcomctl.stores.shelf import Shelf
from xcomctl.stores.transfer import Description

_EVERYTHING = Selection(all_attempts=True)


class Site:
    """A database, a store and a shelf, and what a test asks of them."""

    def __init__(self, source: DatabaseSource, store: S3Store, root: str, shelf: Shelf) -> None:
        self.source = source
        self.store = store
        self.root = Root.parse(root)
        self.shelf = shelf

    def back_up(self, what: Any = _EVERYTHING) -> BackupResult:
        """Make a backup."""
        return back_up(
            self.source,
            self.store,
            DialectRegistry(),
            self.shelf,
            what,
            roots=[self.root],
            now=datetime.now(timezone.utc),
        )

    def restore(
        self, selection: Selection = _EVERYTHING, *, to: str | None = None, dry_run: bool = False
    ) -> RestoreResult:
        """Put the newest backup back, as one operation."""
        from xcomctl.operation import Operation

        result = RestoreResult()
        with ExitStack() as opened:
            operation = None
            if not dry_run:
                operation = opened.enter_context(
                    Operation.begin(
                        self.source,
                        self.store,
                        [Root.parse(to) if to else self.root],
                        command="restore",
                        actor="tester",
                        now=datetime.now(timezone.utc),
                    )
                )
            restore(
                self.shelf,
                read_manifest(self.shelf),
                self.source,
                self.store,
                selection=selection,
                to_root=None if to is None else Root.parse(to),
                operation=operation,
                result=result,
            )
        return result

    def objects(self) -> dict[str, str]:
        """Checksum of every object below the root, by key."""
        found = {}
        for batch in self.store.batches(self.root):
            for key in batch.column("key").to_pylist():
                if ".xcomctl/" not in key:
                    payload = self.store.read(ObjectAddress(self.root.bucket, key))
                    found[key] = hashlib.sha256(payload).hexdigest()
        return found

    def rows(self) -> dict[str, tuple[Any, ...]]:
        """Every row with its value and times."""
        return {row.ref + str(row.try_number): (row,) for row in self.source.rows(_EVERYTHING)}

    def remove(self, keys: Any) -> None:
        """Delete objects as somebody else would."""
        addresses = [ObjectAddress(self.root.bucket, key) for key in keys]
        infos = [info for info in map(self.store.stat, addresses) if info is not None]
        assert {outcome.result for outcome in self.store.delete(infos)} <= {"deleted"}


@pytest.fixture(params=["folder", "bucket"])
def shelf_kind(request: pytest.FixtureRequest) -> str:
    """Where backups are kept."""
    return str(request.param)


@pytest.fixture
def site_of(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site of a world or a deployment."""
    with ExitStack() as opened:

        def make(url: str, endpoint_url: str, root: str, kind: str = "folder") -> Site:
            source = opened.enter_context(closing(DatabaseSource(url)))
            store = opened.enter_context(closing(S3Store(S3Settings(endpoint_url=endpoint_url))))
            bucket = Root.parse(root).bucket
            shelf: Shelf = (
                FolderShelf(tmp_path / "backups")
                if kind == "folder"
                else S3Shelf(store, Root(bucket, "safe/place/"))
            )
            return Site(source, store, root, shelf)

        yield make


def _site(make: Callable[..., Site], world: World, kind: str) -> Site:
    return make(world.db_url, world.endpoint_url, world.root, kind)


def _empty_database(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, future=True)
    with closing(DatabaseSource(url)) as source:
        tables = source.info().tables
    with engine.begin() as connection:
        for table in tables:
            connection.execute(sa.text(f"DELETE FROM {table}"))
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("3.3.2-commonio-sqlite", "folder"),
        ("3.3.2-commonio-pg", "bucket"),
        ("2.11.2-commonio-gz-sqlite", "bucket"),
        ("3.4.0b2-commonio-sqlite", "folder"),
    ],
)
def test_an_emptied_world_comes_back(
    world: Callable[..., World], site_of: Callable[..., Site], name: str, kind: str
) -> None:
    """Every row and every referenced object is back, equal bit for bit; once more changes nothing."""
    here = world(name)
    site = _site(site_of, here, kind)
    rows, objects = site.rows(), site.objects()
    done = site.back_up()
    counts = done.manifest.counts
    assert (counts["rows"], counts["objects_failed"], done.failures) == (len(rows), 0, ())
    assert verify(site.shelf, read_manifest(site.shelf)).findings == ()
    live = {key: digest for key, digest in objects.items() if key not in here.truth["unreferenced_live"]}
    assert counts["objects_stored"] == len(live)

    _empty_database(here.db_url)
    site.remove(objects)
    assert (site.rows(), site.objects()) == ({}, {})
    promised = site.restore(dry_run=True)
    assert (site.rows(), site.objects()) == ({}, {})
    first = site.restore()
    assert (site.rows(), site.objects()) == (rows, live)
    assert (first.failed, first.rows["inserted"], first.objects["restored"]) == (0, len(rows), len(live))
    assert (promised.rows, promised.objects) == (first.rows, first.objects)
    again = site.restore()
    assert (again.failed, dict(again.rows), dict(again.objects)) == (
        *(0, {"identical": len(rows)}, {"identical": len(live)} if live else {}),
    )
    assert (site.rows(), site.objects()) == (rows, live)


@pytest.fixture
def deployed(deploy: Deploy) -> Deployment:
    """Rows of three DAGs, each with an object, and one inline value."""
    here = deploy()
    for dag in ("etl_1", "etl_2", "other"):
        here.push(dag)
    here.add_row("other", "r1", {"rows": 3}, name="inline")
    return here


@pytest.fixture
def site(deployed: Deployment, site_of: Callable[..., Site], shelf_kind: str) -> Site:
    """The same, with either kind of shelf."""
    return site_of(deployed.database.url, deployed.server.endpoint_url, deployed.root, shelf_kind)


@pytest.fixture
def plain(deployed: Deployment, site_of: Callable[..., Site]) -> Site:
    """The same with a folder."""
    return site_of(deployed.database.url, deployed.server.endpoint_url, deployed.root)


def test_only_what_changed_is_copied(site: Site, deployed: Deployment) -> None:
    """A second backup reads and writes no payload that the first one has; equal payloads are kept once."""
    (changing,) = (key for key in deployed.named() if "/etl_1/" in key)
    first = site.back_up().manifest.counts
    assert (first["objects_stored"], first["objects_unchanged"]) == (3, 0)
    # All three objects have the same content.
    assert first["payloads_written"] == 1
    deployed.push("new")
    deployed.client.put_object(Bucket=deployed.bucket, Key=changing, Body=b"changed")
    second = site.back_up().manifest.counts
    assert (second["objects_stored"], second["objects_unchanged"], second["payloads_written"]) == (4, 2, 1)
    assert (second["bytes"], second["bytes_written"]) == (3 * 11 + 7, 7)
    ids = backup_ids(site.shelf)
    assert (len(ids), ids) == (2, sorted(ids, reverse=True))
    assert [verify(site.shelf, read_manifest(site.shelf, one)).findings for one in ids] == [(), ()]


def test_a_payload_that_is_gone_from_the_shelf_is_copied_again(plain: Site, tmp_path: Path) -> None:
    """An unchanged object is not taken for copied if its payload is not there."""
    plain.back_up()
    (payload,) = (tmp_path / "backups" / "objects").rglob("*/*")
    payload.unlink()
    assert plain.back_up().manifest.counts["payloads_written"] >= 1
    assert verify(plain.shelf, read_manifest(plain.shelf)).findings == ()


def test_a_selection_takes_just_its_rows_and_their_objects(site: Site, deployed: Deployment) -> None:
    """Rows by globs, and objects of no other row; a restore chooses among them in the same way."""
    done = site.back_up(Selection(dag="etl_*"))
    assert (done.manifest.counts["rows"], done.manifest.counts["objects_stored"]) == (2, 2)
    assert dict(done.manifest.selection) == {"dag": "etl_*"}
    before = site.objects()
    deployed.database.execute("DELETE FROM xcom")
    site.remove(before)
    result = site.restore(Selection(dag="etl_2"))
    assert (dict(result.rows), dict(result.objects)) == ({"inserted": 1}, {"restored": 1})
    assert deployed.refs() == {"etl_2/r1/load:return_value"}
    assert deployed.dangling() == set()


def test_rows_can_be_named_one_by_one(site: Site) -> None:
    """As a collection names those that expire; one that changed meanwhile is left out."""
    rows = sorted(site.source.rows(Selection(dag="etl_*")), key=lambda row: row.ref)
    targets = [RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw)) for row in rows]
    targets.append(RowTarget(rows[0].table, rows[0].row_key, rows[0].written_at, "0" * 64))
    done = site.back_up(targets)
    assert (done.manifest.counts["rows"], dict(done.manifest.selection)) == (2, {"targets": 3})


def test_what_is_missing_is_said_and_is_no_failure(plain: Site, deployed: Deployment) -> None:
    """The row of an object that is gone is in the backup, and comes back as it was."""
    gone = deployed.push("gone")
    plain.remove([gone])
    done = plain.back_up()
    counts = done.manifest.counts
    assert (counts["rows_dangling"], counts["objects_missing"], done.failed) == (1, 1, 0)
    assert done.missing == (f"s3://{deployed.bucket}/{gone}",)
    deployed.database.execute("DELETE FROM xcom")
    assert (plain.restore().failed, len(deployed.refs())) == (0, 5)


def test_a_doubtful_reference_is_followed_only_under_a_root(plain: Site, deployed: Deployment) -> None:
    """A URI that may be the user's own data is copied if it lies where XComs lie, and never counts as missing."""
    inside = deployed.upload(key=f"{deployed.prefix}/reports/report.txt")
    deployed.upload(key="elsewhere/large.bin")
    for name, key in (
        ("inside", inside),
        ("outside", "elsewhere/large.bin"),
        ("none", f"{deployed.prefix}/no"),
    ):
        deployed.add_row("mine", "r1", f"see s3://{deployed.bucket}/{key} there", name=name)
    done = plain.back_up(Selection(dag="mine"))
    counts = done.manifest.counts
    assert (counts["rows"], counts["objects_stored"], counts["objects_missing"]) == (3, 1, 0)
    assert counts["rows_dangling"] == 0


def test_content_type_and_metadata_come_back(plain: Site, deployed: Deployment) -> None:
    """What the store says of a payload beside its bytes is kept."""
    key = f"{deployed.prefix}/typed/r1/load/8d8ac610-566d-4ef0-9c22-186b2a5ed793"
    described = {"ContentType": "text/csv", "ContentEncoding": "gzip", "Metadata": {"who": "me"}}
    deployed.client.put_object(Bucket=deployed.bucket, Key=key, Body=b"abc", **described)
    deployed.push("typed", key=key)
    plain.back_up()
    plain.remove([key])
    plain.restore()
    head = deployed.client.head_object(Bucket=deployed.bucket, Key=key)
    assert {name: head[name] for name in described} == described


def test_payloads_of_any_size_are_streamed(plain: Site, deployed: Deployment) -> None:
    """An object that is larger than what is held in memory goes and comes in parts; an empty one as well."""
    large = hashlib.shake_256(b"x").digest(20 << 20)
    for dag, content in (("large", large), ("empty", b"")):
        key = deployed.push(dag)
        deployed.client.put_object(Bucket=deployed.bucket, Key=key, Body=content)
    objects = plain.objects()
    plain.back_up()
    plain.remove(objects)
    plain.restore()
    assert plain.objects() == objects


def test_a_backup_that_is_cut_short_is_none(
    plain: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a manifest there is no backup; the next one completes it without copying again."""

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(create_module, "write_manifest", cut)
        with pytest.raises(KeyboardInterrupt):
            plain.back_up()
    assert list((tmp_path / "backups").rglob("*.ndjson.gz"))
    with pytest.raises(NotFoundError, match="holds no finished backup") as caught:
        plain.restore(dry_run=True)
    assert "cut short" in str(caught.value.hint)
    assert plain.back_up().manifest.counts["payloads_written"] == 0


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_one_flipped_byte_of_a_part_is_found_and_refused(
    plain: Site, deployed: Deployment, tmp_path: Path
) -> None:
    """In the rows, the objects or the manifest: a check says so, and a restore changes nothing."""
    plain.back_up()
    deployed.database.execute("DELETE FROM xcom")
    for name in ("rows-00001.ndjson.gz", "objects-00001.ndjson.gz"):
        (part,) = (tmp_path / "backups").rglob(name)
        _flip(part, 30)
        (finding,) = verify(plain.shelf, read_manifest(plain.shelf)).findings
        assert (finding.kind, finding.cause) == (
            "part",
            f"{finding.name} is not what was written: its checksum differs",
        )
        with pytest.raises(RefusedError, match=r"the backup is damaged: .* its checksum differs"):
            plain.restore()
        _flip(part, 30)
        content = part.read_bytes()
        part.write_bytes(content[:-9])
        with pytest.raises(RefusedError, match=r"bytes instead of \d+"):
            plain.restore()
        part.unlink()
        with pytest.raises(RefusedError, match="is missing"):
            plain.restore()
        part.write_bytes(content)
    (manifest,) = (tmp_path / "backups").rglob("manifest.json")
    for edit in (
        lambda text: text.replace('"rows": 4', '"rows": 5'),
        lambda text: text[:-20],
        lambda _: "[]",
    ):
        original = manifest.read_text()
        manifest.write_text(edit(original))
        with pytest.raises(RefusedError, match=r"the manifest of .* is damaged"):
            plain.restore()
        manifest.write_text(original)
    manifest.write_text(original.replace("xcomctl.backup/1", "xcomctl.backup/2"))
    with pytest.raises(RefusedError, match="another release of xcomctl") as caught:
        plain.restore()
    assert caught.value.hint == "pip install --upgrade xcomctl"
    assert deployed.refs() == set()


def test_one_flipped_byte_of_a_payload_is_found_and_kept_out(
    plain: Site, deployed: Deployment, tmp_path: Path
) -> None:
    """The object does not come back, nor does the row that would read it; all others do."""
    odd = deployed.push("odd")
    deployed.client.put_object(Bucket=deployed.bucket, Key=odd, Body=b"another content")
    plain.back_up()
    digest = hashlib.sha256(b"another content").hexdigest()
    _flip(tmp_path / "backups" / "objects" / digest[:2] / digest, 3)
    (finding,) = verify(plain.shelf, read_manifest(plain.shelf)).findings
    assert (finding.kind, finding.name) == ("payload", f"objects/{digest[:2]}/{digest}")
    deployed.database.execute("DELETE FROM xcom")
    plain.remove(plain.objects())
    result = plain.restore()
    assert (dict(result.rows), dict(result.objects)) == (
        *({"inserted": 4, "no_object": 1}, {"restored": 3, "damaged": 1}),
    )
    assert (result.failed, deployed.dangling(), odd in plain.objects()) == (2, set(), False)
    assert result.examples["rows.no_object"] == ["odd/r1/load:return_value"]


def test_nothing_is_overwritten(plain: Site, deployed: Deployment) -> None:
    """Another object at the key, another value in the row, a task that is gone: each stays as it is, and is told."""
    plain.back_up()
    keys = {key.split("/")[1]: key for key in plain.objects()}
    deployed.client.put_object(Bucket=deployed.bucket, Key=keys["etl_1"], Body=b"newer")
    deployed.database.execute("DELETE FROM xcom WHERE dag_id = 'etl_1'")
    deployed.database.execute("UPDATE xcom SET value = '\"newer\"' WHERE dag_id = 'etl_2'")
    deployed.database.execute("DELETE FROM xcom WHERE dag_id = 'other'")
    deployed.database.execute("DELETE FROM task_instance WHERE dag_id = 'other'")
    plain.remove([keys["other"]])
    for dry_run in (True, False):
        result = plain.restore(dry_run=dry_run)
        assert dict(result.rows) == {"no_object": 1, "conflict": 1, "no_task_instance": 2}
        assert (dict(result.objects), result.failed) == ({"conflict": 1}, 5)
    assert plain.store.read(ObjectAddress(deployed.bucket, keys["etl_1"])) == b"newer"
    # No object comes back for a row that cannot.
    assert keys["other"] not in plain.objects()


def test_a_restore_to_another_root_rewrites_references(plain: Site, deployed: Deployment) -> None:
    """A value that is one URI, or one reference of our own backend, says the new place; others stay out."""
    key = deployed.upload(
        key=f"{deployed.prefix}/own/r1/load/-1/return_value/{'1' * 8}-1111-4111-8111-111111111111.json"
    )
    own = {"__xcomctl__": 1, "uri": f"s3://{deployed.bucket}/{key}", "codec": "json", "size": 11}
    deployed.add_row("own", "r1", own)
    nested = deployed.upload()
    deployed.add_row("nested", "r1", [deployed.uri(nested)])
    plain.back_up()
    deployed.database.execute("DELETE FROM xcom")
    before = plain.objects()
    result = plain.restore(to=f"s3://{deployed.bucket}/new/place")
    assert (dict(result.rows), dict(result.objects)) == (
        *({"inserted": 5, "not_movable": 1}, {"restored": 4}),
    )
    assert plain.objects() == before
    values = {
        row.dag_id: json.loads(row.raw or b"") for row in plain.source.rows(Selection(key="return_value"))
    }
    tail = key.removeprefix(deployed.prefix)
    assert values["own"] == {**own, "uri": f"s3://{deployed.bucket}/new/place{tail}"}
    assert values["etl_1"].startswith(f"s3://aws_default@{deployed.bucket}/new/place/etl_1/r1/load/")
    assert (deployed.dangling(), "nested" in values) == (set(), False)


def test_nothing_secret_is_in_a_backup_but_values(
    plain: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are readable by their owner alone; rows are lines of JSON that other tools can read."""
    plain.back_up()
    files = [path for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    (part,) = (tmp_path / "backups").rglob("rows-*.ndjson.gz")
    with gzip.open(part) as lines:
        rows = [json.loads(line) for line in lines]
    assert {row["row"]["dag_id"] for row in rows} == {"etl_1", "etl_2", "other"}
    assert [len(row["objects"]) for row in rows if row["row"]["key"] == "inline"] == [0]


def test_a_store_that_is_out_of_reach_makes_no_backup(plain: Site, tmp_path: Path) -> None:
    """If not one object can be copied, there is no backup, and the cause is told."""
    with closing(S3Store(S3Settings(endpoint_url="http://127.0.0.1:9"))) as nowhere:
        plain.store = nowhere
        with pytest.raises(StoreError, match="no object could be copied"):
            plain.back_up()
    assert backup_ids(plain.shelf) == []


def test_an_object_that_is_not_what_its_reference_says_is_a_failure(
    plain: Site, deployed: Deployment
) -> None:
    """Where a reference has a checksum, the content is compared with it."""
    key = deployed.upload(
        key=f"{deployed.prefix}/own/r1/load/-1/return_value/{'1' * 8}-1111-4111-8111-111111111111.json"
    )
    uri = f"s3://{deployed.bucket}/{key}"
    deployed.add_row(
        "own", "r1", {"__xcomctl__": 1, "uri": uri, "codec": "json", "size": 11, "sha256": "0" * 64}
    )
    done = plain.back_up()
    assert (done.failed, done.failures) == (1, (f"{uri}: its content is not what its reference says",))


def test_an_upload_that_meets_an_object_is_a_conflict(deployed: Deployment) -> None:
    """`if_absent` holds for small and for large payloads, whatever the store knows of conditions."""
    from io import BytesIO

    from xcomctl.errors import ConflictError

    key = deployed.upload()
    address = ObjectAddress(deployed.bucket, key)
    for size in (5, 9 << 20):
        with pytest.raises(ConflictError):
            deployed.store.upload(address, BytesIO(b"x" * size), size, Description(), if_absent=True)
    assert deployed.store.read(address) == b'{"rows": 3}'


def test_a_place_may_name_a_backup() -> None:
    """An `@` that no id follows belongs to the place."""
    assert split_place("s3://aws_default@bucket/x") == ("s3://aws_default@bucket/x", None)
    assert split_place("/b@20261122T150000Z-1a2b3c4d") == ("/b", "20261122T150000Z-1a2b3c4d")
    assert split_place("@20261122T150000Z-1a2b3c4d") == ("@20261122T150000Z-1a2b3c4d", None)
