"""`xcomctl backup` and `xcomctl restore` as people and programs run them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.services.command import Command
from tests.services.deployment import Deploy, Deployment

_ID = r"\d{8}T\d{6}Z-[0-9a-f]{8}"


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """Two rows with objects, and an inline one."""
    made = deploy()
    made.push("etl")
    made.push("other")
    made.add_row("other", "r1", {"rows": 3}, name="inline")
    return made


@pytest.fixture
def place(tmp_path: Path) -> str:
    """An empty place for backups."""
    return str(tmp_path / "backups")


def _lines(text: str) -> dict[str, str]:
    return {line[:10].strip(): line[10:] for line in text.splitlines() if not line.startswith("  ")}


def test_a_backup_is_made_listed_and_verified(xcomctl: Command, here: Deployment, place: str) -> None:
    """A few lines say what is in it; it can be listed and checked without a database."""
    done = xcomctl("backup", *here.options, "--to", place)
    assert (done.code, done.stderr) == (0, "")
    told = _lines(done.stdout)
    backup_id = told["backup"].removeprefix(f"{place}@")
    assert re.fullmatch(_ID, backup_id)
    assert (told["rows"], told["objects"], told["written"]) == ("3", "2 (22 B)", "1 payload (11 B)")
    listed = xcomctl("backup", "ls", place)
    assert re.fullmatch(rf"{backup_id}  \S+Z  3 rows  2 objects  22 B\n", listed.stdout)
    document = json.loads(xcomctl("backup", "ls", place, "-o", "json").stdout)
    assert (document["schema"], [one["id"] for one in document["backups"]]) == (
        *("xcomctl.backups/1", [backup_id]),
    )
    for name in (place, f"{place}@{backup_id}"):
        checked = xcomctl("backup", "verify", name)
        assert (checked.code, _lines(checked.stdout)["findings"]) == (0, "0")
    (payload,) = Path(place, "objects").rglob("*/*")
    payload.write_bytes(b'{"rows": 4}')
    broken = xcomctl("backup", "verify", place, "-o", "json")
    findings = json.loads(broken.stdout)["findings"]
    assert (broken.code, [one["kind"] for one in findings]) == (4, ["payload"])


def test_a_backup_into_a_bucket_is_restored(xcomctl: Command, here: Deployment) -> None:
    """The place may be a prefix, reached with the endpoint of the store; everything comes back after a yes."""
    place = f"s3://{here.bucket}/safe"
    before = here.state()
    made = xcomctl("backup", *here.options, "--to", place, "-o", "json")
    document = json.loads(made.stdout)
    assert (made.code, document["schema"], document["counts"]["objects_stored"]) == (0, "xcomctl.backup/1", 2)
    assert here.root in document["roots"]
    with_backup = here.keys()
    here.database.execute("DELETE FROM xcom")
    for key in before[0]:
        here.client.delete_object(Bucket=here.bucket, Key=key)
    dry = xcomctl("restore", place, *here.options, "--dry-run")
    assert (dry.code, dry.stderr, here.refs()) == (0, "", set())
    assert dry.stdout.splitlines() == [
        "dry run: this would become of them",
        "rows      3 inserted",
        "objects   2 uploaded (22 B)",
        f"target    {here.root}",
    ]
    asked = xcomctl("restore", place, *here.options)
    assert (asked.code, asked.stdout, here.refs()) == (2, "", set())
    assert asked.stderr.splitlines() == [
        "error: nothing was restored: 3 rows and 2 objects (22 B) would come back, and there is no terminal to ask at",
        "hint: add --yes to restore, or --dry-run to see more",
    ]
    done = xcomctl("restore", place, *here.options, "--yes", "-o", "json")
    result = json.loads(done.stdout)
    assert (done.code, result["schema"], result["backup"]) == (0, "xcomctl.restore/1", document["id"])
    assert (result["rows"]["inserted"], result["objects"]["restored"], result["bytes_restored"]) == (3, 2, 22)
    assert (here.keys(), here.refs()) == (with_backup, before[1])
    again = xcomctl("restore", place, *here.options, "--yes")
    assert (again.code, again.stdout.splitlines()) == (
        *(0, ["rows      3 there already", "objects   2 there already"]),
    )


def test_what_is_not_restored_is_told(xcomctl: Command, here: Deployment, place: str) -> None:
    """Exit 3, each kind with a few examples."""
    xcomctl("backup", *here.options, "--to", place)
    here.database.execute("DELETE FROM xcom")
    here.database.execute("DELETE FROM task_instance WHERE dag_id = 'other'")
    done = xcomctl("restore", place, *here.options, "--yes")
    assert done.stdout.splitlines()[:4] == [
        "rows      1 inserted",
        "rows      2 not restored: the task instance does not exist",
        "  other/r1/load:return_value",
        "  other/r1/load:inline",
    ]
    assert (done.code, done.stderr.splitlines()) == (
        3,
        [
            "error: 2 rows and objects were not restored",
            "hint: the outcome names some of each kind; restoring again does no harm",
        ],
    )
    assert xcomctl("restore", place, *here.options, "--dry-run").code == 3


def test_a_failed_object_is_told(xcomctl: Command, here: Deployment, place: str) -> None:
    """An object that cannot be read leaves a backup of all else, and exit 3."""
    far = "s3://no-such-bucket-here"
    here.add_row("far", "r1", f"s3://aws_default@no-such-bucket-here/{here.prefix}/far/r1/load/{'1' * 32}")
    here.add_row("far", "r1", {"__xcomctl__": 1, "uri": f"{far}/far/1.json"}, name="own")
    done = xcomctl("backup", *here.options, "--store", far, "--to", place)
    assert (done.code, _lines(done.stdout)["objects"]) == (3, "2 (22 B)")
    assert f" of the objects: {far}/" in done.stderr
    assert xcomctl("backup", "verify", place).code == 0


def test_only_objects_below_the_stores_are_copied(xcomctl: Command, here: Deployment, place: str) -> None:
    """A value can name whatever our credentials reach: what is no XCom of the stores is counted, told, and never read."""
    for key in ("finance/payroll.csv", f"{here.prefix}/.xcomctl/journal/values.json"):
        here.client.put_object(Bucket=here.bucket, Key=key, Body=b"secret")
    secrets = [f"s3://{here.bucket}/finance/payroll.csv", f"{here.root}/.xcomctl/journal/values.json"]
    for number, uri in enumerate(secrets):
        here.add_row("nosy", "r1", {"__xcomctl__": 1, "uri": uri}, name=f"k{number}")
    done = xcomctl("backup", *here.options, "--to", place, "-o", "json")
    document = json.loads(done.stdout)
    counts = document["counts"]
    assert (done.code, counts["rows"], counts["objects_stored"]) == (3, 5, 2)
    assert (counts["objects_unresolved"], document["unresolved"]) == (2, secrets)
    assert (counts["rows_dangling"], counts["objects_missing"]) == (0, 0)
    assert [path.read_bytes() for path in Path(place, "objects").rglob("*/*")] == [b'{"rows": 3}']
    told = xcomctl("backup", *here.options, "--to", place)
    assert _lines(told.stdout)["elsewhere"] == "2 objects"
    assert told.stderr.splitlines() == [
        f"error: done in part, without 2 of the objects: {secrets[0]} lies in none of the stores",
        "hint: if these are yours, add the --store that they lie in",
    ]
    assert xcomctl("restore", place, *here.options, "--dry-run").code == 0


def test_a_restore_writes_only_below_stores_of_this_command(
    xcomctl: Command, here: Deployment, place: str
) -> None:
    """Not below those of the backup alone: exit 2 with what to type, and neither object nor lock nor journal there."""
    xcomctl("backup", *here.options, "--to", place)
    before, rows = here.all_keys(), here.refs()
    here.database.execute("DELETE FROM xcom")
    base, other = (*here.options[:2], *here.options[4:]), f"s3://{here.bucket}/other"
    for stores, said in (((), "and no store is given"), (("--store", other), f"and the stores are {other}")):
        for how in ("--dry-run", "--yes"):
            done = xcomctl("restore", place, *base, *stores, how)
            assert (done.code, here.all_keys(), here.refs()) == (2, before, set())
            assert done.stderr.splitlines() == [
                f"error: the backup is of {here.root}, {said}",
                f"hint: --store {here.root} to put objects back there, or --to-store to put them elsewhere",
            ]
    # A store inside of that of the backup: what belongs beside it stays out, and so do its rows.
    narrow = ("--store", f"{here.root}/etl")
    for key in here.keys():  # noqa: SIM118 - not a dict
        here.client.delete_object(Bucket=here.bucket, Key=key)
    dry = json.loads(xcomctl("restore", place, *base, *narrow, "--dry-run", "-o", "json").stdout)
    done = xcomctl("restore", place, *base, *narrow, "--yes", "-o", "json")
    result = json.loads(done.stdout)
    assert (done.code, dry["targets"], result["targets"]) == (3, [f"{here.root}/etl"], [f"{here.root}/etl"])
    assert (result["rows"], result["objects"]) == (dry["rows"], dry["objects"])
    assert (result["objects"]["restored"], result["objects"]["outside"]) == (1, 1)
    assert here.refs() == {ref for ref in rows if not ref.endswith("other/r1/load:return_value")}
    assert {key.split("/")[1] for key in here.all_keys()} == {"etl"}


def test_mistakes_are_told(xcomctl: Command, here: Deployment, place: str) -> None:
    """No place, a place among the XComs, no backup there, an option that restore does not have."""
    inside = f"{here.root}/backups"
    for arguments, code, cause in (
        (("backup",), 2, "there is no place given for the backup"),
        (("backup", "--to", inside), 2, f"{inside} lies inside of {here.root}, where XComs are collected"),
        (("backup", "--to", "ftp://x/y"), 2, "'ftp://x/y' is not an S3 address"),
        (("restore", place), 1, f"{place} holds no finished backup"),
        (
            ("restore", f"{place}@20261122T150000Z-1a2b3c4d"),
            1,
            f"{place} holds no finished backup 20261122T150000Z-1a2b3c4d",
        ),
        (("backup", "verify", place), 1, f"{place} holds no finished backup"),
        (
            ("restore", place, "--state", "failed"),
            2,
            "--state does not go with restore: a backup does not know it",
        ),
        (("restore", place, "--to-store", "nowhere"), 2, "'nowhere' is not an S3 address"),
    ):
        done = xcomctl(*arguments, *here.options)
        assert (done.code, done.stdout, done.stderr.splitlines()[0]) == (code, "", f"error: {cause}")
    assert not Path(place).exists()


def test_a_folder_that_cannot_be_written_is_told(xcomctl: Command, here: Deployment, tmp_path: Path) -> None:
    """A file where the folder should be: one line, and no backup."""
    (tmp_path / "file").write_text("")
    done = xcomctl("backup", *here.options, "--to", str(tmp_path / "file"))
    assert (done.code, done.stderr.splitlines()[1]) == (7, "hint: check the folder, its rights and its room")


def test_damage_refuses_a_restore(xcomctl: Command, here: Deployment, place: str) -> None:
    """A part that is not what was written: exit 5, nothing changed."""
    xcomctl("backup", *here.options, "--to", place)
    here.database.execute("DELETE FROM xcom")
    (part,) = Path(place).rglob("rows-*.gz")
    part.write_bytes(part.read_bytes()[:-1])
    done = xcomctl("restore", place, *here.options, "--yes")
    assert (done.code, done.stdout, here.refs()) == (5, "", set())
    assert done.stderr.splitlines()[-1] == f"hint: xcomctl backup verify {place} says all that is"
