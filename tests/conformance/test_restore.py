"""Restores: what comes back, what a check notices before, and what stays as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conformance.backup_bench import Site, deployed, plain, site, site_of, target_kind
from tests.services.deployment import Deployment
from tests.services.sweeps import sweep
from tests.services.worlds import World
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection
from xcomctl.backup import read_manifest, verify
from xcomctl.errors import RefusedError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import Description

__all__ = ["deployed", "plain", "site", "site_of", "target_kind"]


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
    sweep(
        [
            ("3.3.2-commonio-sqlite", "folder"),
            ("3.3.2-commonio-pg", "bucket"),
            ("2.11.2-commonio-gz-sqlite", "bucket"),
            ("3.4.0b2-commonio-sqlite", "folder"),
        ],
        lambda name, _: name in ("3.3.2-commonio-pg", "3.4.0b2-commonio-sqlite"),
    ),
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
    assert verify(site.backup_target, read_manifest(site.backup_target)).findings == ()
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
        (finding,) = verify(plain.backup_target, read_manifest(plain.backup_target)).findings
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
    (finding,) = verify(plain.backup_target, read_manifest(plain.backup_target)).findings
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
