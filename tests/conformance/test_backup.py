"""Backups: what is copied, what is not copied again, and what is no backup."""

from __future__ import annotations

import gzip
import hashlib
import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.backup_bench import Site, deployed, plain, site, site_of, target_kind
from tests.services.deployment import Deployment
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.backup import backup_ids, read_manifest, split_place, verify
from xcomctl.backup import create as create_module
from xcomctl.errors import NotFoundError, StoreError
from xcomctl.models import digest_of
from xcomctl.s3.store import S3Settings, S3Store

__all__ = ["deployed", "plain", "site", "site_of", "target_kind"]


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
    ids = backup_ids(site.backup_target)
    assert (len(ids), ids) == (2, sorted(ids, reverse=True))
    assert [verify(site.backup_target, read_manifest(site.backup_target, one)).findings for one in ids] == [
        (),
        (),
    ]


def test_a_payload_that_is_gone_from_the_target_is_copied_again(plain: Site, tmp_path: Path) -> None:
    """An unchanged object is not taken for copied if its payload is not there."""
    plain.back_up()
    (payload,) = (tmp_path / "backups" / "objects").rglob("*/*")
    payload.unlink()
    assert plain.back_up().manifest.counts["payloads_written"] >= 1
    assert verify(plain.backup_target, read_manifest(plain.backup_target)).findings == ()


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
    assert backup_ids(plain.backup_target) == []


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


def test_a_place_may_name_a_backup() -> None:
    """An `@` that no id follows belongs to the place."""
    assert split_place("s3://aws_default@bucket/x") == ("s3://aws_default@bucket/x", None)
    assert split_place("/b@20261122T150000Z-1a2b3c4d") == ("/b", "20261122T150000Z-1a2b3c4d")
    assert split_place("@20261122T150000Z-1a2b3c4d") == ("@20261122T150000Z-1a2b3c4d", None)
