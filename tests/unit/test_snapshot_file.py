from __future__ import annotations

import signal
import uuid
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from xcomctl.cli.commands.sql import plain
from xcomctl.errors import UnreadableError, UsageError, XcomctlError
from xcomctl.inventory.snapshot_file import TABLES, SnapshotFile, open_snapshot_file
from xcomctl.inventory.snapshot_file.tables import VERSION
from xcomctl.inventory.workspace import Resources


def keep(path: Path, version: int = VERSION) -> Path:
    """An inventory with one object and nothing else."""
    with duckdb.connect(str(path)) as database:
        for table, columns in TABLES.items():
            database.execute(
                f"CREATE TABLE {table} ({', '.join(f'{column.name} {column.type}' for column in columns)})"
            )
        database.execute("INSERT INTO about BY NAME SELECT ? AS version", [version])
        database.execute(
            "INSERT INTO objects BY NAME"
            " SELECT 1 AS object_id, 's3://b/k' AS uri, 'etl' AS dag_id, 7 AS size, 'live' AS state,"
            " TIMESTAMP '2026-11-01 06:00:00' AS last_modified"
        )
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small inventory in a folder of its own."""
    folder = tmp_path / "kept"
    folder.mkdir()
    return keep(folder / "inv.duckdb")


def refusal(path: Path, statement: str) -> XcomctlError:
    """The error that a question ends with, at once or while it is answered."""
    with open_snapshot_file(path) as kept, pytest.raises(XcomctlError) as raised:
        list(kept.ask(statement).records)
    return raised.value


def test_columns_and_records(file: Path) -> None:
    """Names and types are those of the question, equal names are told apart, and times are UTC."""
    with open_snapshot_file(file) as kept:
        answer = kept.ask("select size, last_modified, size, NULL::INTEGER as etag from objects")
        assert answer.columns == (
            ("size", "BIGINT"),
            ("last_modified", "TIMESTAMP"),
            ("size_1", "BIGINT"),
            ("etag", "INTEGER"),
        )
        at = datetime(2026, 11, 1, 6, tzinfo=timezone.utc)
        assert list(answer.records) == [(7, at, 7, None)]


def test_what_a_file_is_of(file: Path) -> None:
    """Also a file from before it was kept by which options an inventory was judged says what it is of."""
    with duckdb.connect(str(file)) as database:
        database.execute(
            "UPDATE about SET created_at = now()::TIMESTAMP, cutoff = now()::TIMESTAMP, complete = true,"
            " roots = ['s3://b/k'], database = 'here', options = '--older-than 30d'"
        )
    with open_snapshot_file(file) as kept:
        about = kept.about()
    assert (about.database, about.roots, about.options) == ("here", ("s3://b/k",), "--older-than 30d")
    with duckdb.connect(str(file)) as database:
        database.execute("ALTER TABLE about DROP options")
    with open_snapshot_file(file) as kept:
        assert kept.about() == replace(about, options=None)


def test_a_long_answer_is_read_as_it_is_asked_for(file: Path) -> None:
    """The first records are there, whatever would follow."""
    with open_snapshot_file(file) as kept:
        records = kept.ask("select range from range(1_000_000_000_000)").records
        assert [next(records) for _ in range(3)] == [(0,), (1,), (2,)]


def test_what_interrupts_the_waiting_for_an_answer_ends_the_question(file: Path) -> None:
    """Control-C while the database works: it stops, and can be asked again."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def ask_and_interrupt(kept: SnapshotFile) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        kept.ask(
            "select count(*) from range(100_000_000) a, range(100_000_000) b where a.range % 7 = b.range % 11"
        )

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with open_snapshot_file(file) as kept:
            with pytest.raises(KeyboardInterrupt):
                ask_and_interrupt(kept)
            assert list(kept.ask("select size from objects").records) == [(7,)]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_values_become_what_every_format_can_write(file: Path) -> None:
    """Whole decimals are integers, what is no number is null, bytes are hex digits."""
    question = (
        "select sum(size)::decimal(38,0), 1/0, 'nan'::double, blob 'ab', date '2026-11-01', time '06:00',"
        " interval 90 second, {'a': [1.50::decimal(4,2)]}, 170141183460469231731687303715884105727::hugeint,"
        " uuid '00000000-0000-0000-0000-000000000001', true, map {'k': 1} from objects"
    )
    with open_snapshot_file(file) as kept:
        [record] = kept.ask(question).records
    assert [plain(value) for value in record] == [
        *(7, None, None, "6162", "2026-11-01", "06:00:00", timedelta(seconds=90), {"a": [1.5]}, 2**127 - 1),
        *("00000000-0000-0000-0000-000000000001", True, {"k": 1}),
    ]
    assert [plain(value) for value in (date(2026, 1, 2), time(1), uuid.UUID(int=1), (1, b"a"))] == [
        "2026-01-02",
        "01:00:00",
        "00000000-0000-0000-0000-000000000001",
        [1, "61"],
    ]


FORBIDDEN = {
    "read_csv": "select * from read_csv('{secret}')",
    "read_text": "select * from read_text('{secret}')",
    "file name": "select * from '{secret}'",
    "glob": "select * from glob('{folder}/*')",
    "sniff_csv": "select * from sniff_csv('{secret}')",
    "json": "select * from read_json('{secret}')",
    "https": "select * from 'https://example.com/a.parquet'",
    "copy": "copy objects to '{folder}/out.csv'",
    "copy from": "copy objects from '{secret}'",
    "export": "export database '{folder}/out'",
    "attach": "attach '{folder}/new.duckdb'",
    "install": "install httpfs",
    "load": "load httpfs",
    "pragma": "pragma database_list",
    "set": "set enable_external_access = true",
    "reset": "reset lock_configuration",
    "call": "call pragma_version()",
    "create": "create table mine as select 1",
    "create temp": "create temp table mine as select 1",
    "delete": "delete from objects",
    "two": "select 1; select 2",
    "none": "",
    "prepare": "prepare mine as select 1",
    "transaction": "begin",
    "python": "select * from statement",
    "environment": "select getenv('HOME')",
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_question_reaches_nothing_but_the_inventory(file: Path, tmp_path: Path, name: str) -> None:
    """No file, no network, no extension, no setting, no variable, no change."""
    secret = tmp_path / "secret.csv"
    secret.write_text("hush,hush\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    error = refusal(file, FORBIDDEN[name].format(secret=secret, folder=tmp_path))
    assert isinstance(error, UsageError)
    assert (error.hint is not None, "hush" in str(error)) == (True, False)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_every_way_is_closed_even_if_a_statement_were_let_through(file: Path) -> None:
    """The database itself refuses, not only the look at the statement."""
    with open_snapshot_file(file) as kept:
        for statement in ("SET enable_external_access = true", "COPY rows TO 'out.csv'", "DROP TABLE rows"):
            with pytest.raises(duckdb.Error):
                kept._connection.execute(statement)


@pytest.mark.parametrize(
    ("question", "cause", "hint"),
    [
        (
            "select nope from objects",
            'Referenced column "nope" not found in FROM clause! (line 1, column 8)',
            "Cand",
        ),
        ("selec 1", 'syntax error at or near "selec" (line 1, column 1)', "xcomctl sql --tables"),
        ("select *\nfrom objects\nwhere nope = 1", "(line 3, column 7)", "Candidate"),
        (
            "from xcoms",
            "Table with name xcoms does not exist! (line 1, column 6)",
            "tables: entries, objects, rows",
        ),
        (
            "select 'x'::int",
            "Could not convert string 'x' to INT32 (line 1, column 11)",
            "xcomctl sql --tables",
        ),
        (
            "select now()",
            "column now() is a time with a zone",
            "times here are UTC: write (now())::timestamp",
        ),
    ],
    ids=["column", "syntax", "third line", "table", "conversion", "zone"],
)
def test_a_wrong_question_is_told_with_its_place(file: Path, question: str, cause: str, hint: str) -> None:
    """One line with line and column, and what helps."""
    error = refusal(file, question)
    assert isinstance(error, UsageError)
    assert str(error).endswith(cause)
    assert str(error.hint).startswith(hint)


def test_a_file_that_is_no_inventory(tmp_path: Path) -> None:
    """Absent, something else, another database, another version: each says so, and what makes one."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").touch()
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("CREATE TABLE mine AS SELECT 1 AS one")
    keep(tmp_path / "next.duckdb", VERSION + 1)
    said = {}
    for path in (tmp_path / "absent.duckdb", *sorted(tmp_path.iterdir()), tmp_path):
        with pytest.raises(UsageError) as raised:
            open_snapshot_file(path)
        said[path.name] = str(raised.value).removeprefix(f"{path} ")
        assert "xcomctl inventory --out FILE" in str(raised.value.hint)
    assert said == {
        "absent.duckdb": "is not there",
        "empty": "is not an inventory that this version can read",
        "next.duckdb": "was made by another version of xcomctl",
        "notes.txt": "is not an inventory that this version can read",
        "other.duckdb": "is not an inventory of xcomctl",
        tmp_path.name: "is not a file",
    }


def test_a_damaged_inventory_gives_no_answer(file: Path) -> None:
    """Blocks that do not fit their checksums are never taken for an answer."""
    content = bytearray(file.read_bytes())
    for at in range(3 * 4096, len(content), 64):
        content[at] ^= 0xFF
    file.write_bytes(bytes(content))
    with pytest.raises((UsageError, UnreadableError)), open_snapshot_file(file) as kept:
        list(kept.ask("select uri, size from objects").records)


def test_an_answer_stays_within_its_memory(file: Path) -> None:
    """What does not fit goes to the folder that was named; what cannot is an error with a hint, and leaves nothing there."""
    spill = file.parent / "spill"
    spill.mkdir()
    with open_snapshot_file(file, Resources(memory=64 << 20, threads=1, tmp=spill)) as kept:
        assert len(list(spill.iterdir())) == 1
        [(limit, threads)] = kept.ask(
            "select current_setting('memory_limit'), current_setting('threads')"
        ).records
        assert (limit, threads) == ("64.0 MiB", 1)
        with pytest.raises(XcomctlError) as raised:
            list(kept.ask("select list(range) from range(100_000_000)").records)
        assert (str(raised.value.hint), type(raised.value)) == ("--memory 4GiB", XcomctlError)
    assert list(spill.iterdir()) == []
