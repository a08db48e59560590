"""What SQL tells of plain values and of keys is what the dialects say of them, one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.services.sweeps import sweep
from tests.services.worlds import World
from tests.unit.test_inventory import objects, row, rows
from xcomctl.airflow.database import DatabaseSource
from xcomctl.dialects.configured import DialectRule
from xcomctl.dialects.interface import Shortcuts
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory import Inventory
from xcomctl.models import Root, digest_of, uuids_in

ROOT = Root("xcoms", "prod/")
CORPUS = Path(__file__).parent.parent / "corpus" / "references"


class Careful(DialectRegistry):
    """The same dialects, of which nothing is known in advance: every value and every key is read by itself."""

    def shortcuts(self) -> Shortcuts:
        """None."""
        return Shortcuts((), (), None, frozenset())


def marked(
    dialects: DialectRegistry, roots: Sequence[Root], keys: Iterable[str], batches: list[pa.RecordBatch]
) -> dict[str, Any]:
    """What an inventory says of these objects (keys in the first root) and rows."""
    with Inventory(dialects, roots) as inventory:
        inventory.add_objects(roots[0], [objects(*keys).set_column(0, "bucket", bucket_of(roots[0], keys))])
        inventory.add_rows(batches)
        return {
            "objects": inventory.run(
                "SELECT key, dialect, uuid, uuid_hash, tail, dag_id, run_id, task_id, map_index, xcom_key"
                " FROM objects ORDER BY ALL"
            ),
            "hashes": inventory.run(
                "SELECT count(*) FROM objects WHERE uuid_hash IS DISTINCT FROM hash(uuid)"
            ),
            "rows": inventory.run("SELECT row_id, digest, size FROM rows ORDER BY ALL"),
            "refs": inventory.run("SELECT * FROM refs ORDER BY ALL"),
            "mentions": inventory.run("SELECT DISTINCT row_id, uuid_hash, tail FROM mentions ORDER BY ALL"),
            "met": inventory.run("SELECT DISTINCT * FROM met_refs ORDER BY ALL"),
            "links": inventory.run(
                "SELECT row_id, key, bool_or(exact) FROM links JOIN objects USING (object_id) GROUP BY ALL ORDER BY ALL"
            ),
            "unreadable": inventory.run(
                "SELECT row_id FROM rows WHERE names_root"
                " AND row_id NOT IN (SELECT row_id FROM refs WHERE key IS NOT NULL) ORDER BY ALL"
            ),
        }


def bucket_of(root: Root, keys: Iterable[str]) -> pa.Array:
    """A column with the root's bucket for each key."""
    return pa.array([root.bucket for _ in keys], pa.string())


def told_alike(keys: Sequence[str], values: Sequence[bytes | None], roots: Sequence[Root] = (ROOT,)) -> None:
    """Assert that both ways of reading say the same."""
    batches = [rows(*(row(b"", row_key=f"[{number}]", raw=value) for number, value in enumerate(values)))]
    plain = marked(DialectRegistry(), roots, keys, batches)
    assert marked(Careful(), roots, keys, batches) == plain
    assert [(number, digest_of(value), len(value or b"")) for number, value in enumerate(values)] == plain[
        "rows"
    ]


def corpus() -> list[tuple[bytes, list[str], list[Root]]]:
    """Every value of the corpus of references, with the keys that it may mean and the roots that were given."""
    found = []
    for path in sorted(CORPUS.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            if "json" not in case:
                continue
            raw = json.dumps(case["json"]).encode()
            addresses = [uri for one in case["references"] for uri in one["addresses"]]
            keys = [uri.split("/", 3)[3] for uri in addresses]
            found.append((raw, keys, [Root.parse(root) for root in case["roots"]]))
    return found


def test_every_value_of_the_corpus_is_told_alike() -> None:
    """All references of the corpus, as they are and quoted once, twice and three times, with the objects they mean."""
    cases = corpus()
    values = [raw for raw, _, _ in cases]
    for _ in range(3):
        values += [json.dumps(raw.decode()).encode() for raw in values[-len(cases) :]]
    keys = sorted({key for _, named, _ in cases for key in named})
    told_alike(keys, values, [Root("xcoms"), Root("other", "prod/")])
    told_alike(keys, values, [Root("xcoms", "airflow/prod/")])


@pytest.mark.parametrize(
    "name",
    sweep(
        [
            "2.5.0-naive-sqlite",
            "2.5.0-pickle-sqlite",
            "2.11.2-commonio-gz-sqlite",
            "3.0.6-commonio-sqlite",
            "3.3.2-commonio-pg",
            "3.4.0b2-commonio-sqlite",
            "migrated-2.11.2-to-3.3.2-pg",
        ],
        lambda name: name.startswith(("2.5.0-pickle", "3.4.0", "migrated")),
    ),
)
def test_a_world_is_told_alike(world: Callable[..., World], name: str) -> None:
    """Databases that real Airflow releases wrote, with an object at each place that they mean."""
    with closing(DatabaseSource(world(name, store=False).db_url)) as source, source.snapshot() as snapshot:
        batches = list(snapshot.batches())
    values = [value.as_py() for batch in batches for value in batch.column("raw")]
    found = [one for value in values for one in DialectRegistry().references(value, [ROOT])]
    buckets = {address.bucket for one in found for address in one.addresses} or {"xcoms"}
    for bucket in sorted(buckets):
        keys = sorted({at.key for one in found for at in one.addresses if at.bucket == bucket})
        plain = marked(DialectRegistry(), [Root(bucket)], keys, batches)
        assert marked(Careful(), [Root(bucket)], keys, batches) == plain
        assert [
            (number, digest_of(value), len(value or b"")) for number, value in enumerate(values)
        ] == plain["rows"]


UUID = "0c9f7c1e-3a52-4b7e-9d0a-00000051aa00"
uuids = st.uuids(version=4).map(str) | st.uuids(version=4).map(lambda one: one.hex) | st.just(UUID)
segments = st.sampled_from(
    ["etl", "r1", "a b", "é", "", ".", "..", "ti-" + UUID, "x" + UUID, UUID, "%7E", "xcom", "a@b"]
)
suffixes = st.sampled_from(
    ["", ".gz", ".json", "/return_value.json", ".gz.gz", "a", "\n", " ", '"', "\\", "é"]
)
texts = st.builds(
    lambda scheme, bucket, folders, uuid, suffix: scheme + "/".join([bucket, *folders, uuid]) + suffix,
    st.sampled_from(["s3://", "s3a://", "S3N://", "xcom_s3://", "s3:/", "", "aws_s3://"]),
    st.sampled_from(
        [
            "xcoms/prod",
            "aws_default@xcoms/prod",
            "a@b@xcoms/prod",
            "xcoms",
            "other",
            "/xcoms/prod",
            "xcoms//prod",
        ]
    ),
    st.lists(segments, min_size=0, max_size=4) | st.just(["etl", "r1", "load"]),
    uuids,
    suffixes,
)
quoted = st.builds(
    lambda text, times, edge: edge + _quoted(text, times) + edge,
    texts,
    st.integers(0, 5),
    st.sampled_from(["", " ", "\n"]),
)


def _document(members: dict[str, Any], order: list[str], more: dict[str, Any], separator: str) -> bytes:
    found = {name: members[name] for name in order} | more
    return json.dumps(found, separators=(separator, ": ")).encode()


_AS_WRITTEN = ["__xcomctl__", "uri", "codec", "size", "sha256", "type", "index_columns", "name"]
_AS_JSONB = ["uri", "name", "size", "type", "codec", "sha256", "__xcomctl__", "index_columns"]
documents = st.builds(
    _document,
    st.fixed_dictionaries(
        {
            "__xcomctl__": st.sampled_from([1, 1, 1, 1, 2, True, "1"]),
            "uri": st.builds(
                lambda place, uuid, suffix: f"s3://{place}/{uuid}{suffix}",
                st.sampled_from(
                    [
                        "xcoms/prod/etl/r%3A1/load/-1/key",
                        "xcoms/prod/etl/r/load/7/%7E",
                        "xcoms/x/etl/r/load/-1/key",
                        f"xcoms/prod/{UUID}/r/load/-1/key",
                        "xcoms/prod/etl/r/load/-1",
                        "c@xcoms/prod/etl/r/load/-1/key",
                        "other//prod/etl/r/load/-1/key",
                    ]
                ),
                uuids,
                st.sampled_from([".json", ".parquet", ".csv.gz", ".bundle.zip", "", ".json/x"]),
            ),
            "codec": st.sampled_from(["json", "csv+gzip", "xcom/a"]),
            "size": st.sampled_from([0, 4598, -1, 1.5]),
            "sha256": st.sampled_from(["a1" * 32, UUID.replace("-", "") * 2, "A1" * 32, "a1" * 31]),
            "type": st.sampled_from(
                ["list", "pandas.DataFrame", UUID, UUID.replace("-", ""), "s3://xcoms/prod/a"]
            ),
            "index_columns": st.just(2),
            "name": st.sampled_from(["a.csv", "a b.csv", f"{UUID}.csv", "xcom/b", "xcoms/prod/x"]),
        }
    ),
    st.sampled_from(
        [_AS_WRITTEN[:5], _AS_WRITTEN[:6], _AS_WRITTEN, _AS_JSONB, [*_AS_JSONB[2:3], *_AS_JSONB[:2]]]
        + [
            [name for name in _AS_JSONB if name not in ("name", "index_columns", *absent)]
            for absent in ("", ["type"])
        ]
    ),
    st.sampled_from([{}, {}, {}, {"later": UUID}]),
    st.sampled_from([", ", ", ", ","]),
)
raw_values = st.one_of(
    st.none(),
    documents,
    quoted.map(str.encode),
    st.lists(texts, max_size=2).map(lambda value: json.dumps(value).encode()),
    st.text(max_size=20).map(lambda value: json.dumps(value).encode()),
    st.text(max_size=20).map(lambda value: json.dumps(value, ensure_ascii=False).encode()),
    st.binary(max_size=20),
    st.sampled_from(
        [
            b"",
            b'"',
            b'""',
            b'"""',
            rb'"\"',
            rb'"\""',
            b"1",
            b"null",
            b"xcoms/prod/x",
            b'"see xcoms/prod/x"',
            b"a\x00b",
        ]
    ),
)


def _quoted(text: str, times: int) -> str:
    for _ in range(times):
        text = json.dumps(text, ensure_ascii=False)
    return text


def keys_of(values: Iterable[bytes | None]) -> list[str]:
    """Keys of objects that such values may mean or mention."""
    found = {f"prod/etl/r1/load/{UUID}", f"prod/etl/r1/load/ti-{UUID}/return_value.json"}
    for value in values:
        text = (value or b"").decode("utf-8", "replace")
        for uuid in uuids_in(text):
            found |= {f"prod/etl/r1/load/{uuid}", f"prod/data_{uuid}.json", f"prod/x/data_{uuid}"}
        found |= {
            found_key
            for found_key in text.replace('"', "").replace("\\", "").split("xcoms/")[1:]
            if found_key
        }
    return sorted(found)


@settings(max_examples=6)
@given(st.lists(raw_values, max_size=60))
@example([None, b'"s3://xcoms/prod/etl/r1/load/' + UUID.encode() + b'"'])
def test_any_value_is_told_alike(values: list[bytes | None]) -> None:
    """Whatever a value is: references and mentions, digest and links are those of the careful reading."""
    told_alike(keys_of(values), values)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(raw_values, max_size=60))
def test_any_of_many_values_is_told_alike(values: list[bytes | None]) -> None:
    """The same, of more values."""
    told_alike(keys_of(values), values)


@settings(max_examples=2)
@given(st.lists(raw_values, min_size=5, max_size=25))
def test_any_value_is_told_alike_beside_configured_layouts(values: list[bytes | None]) -> None:
    """A layout of the configuration without uuids, and one in which other digits touch the uuid, are looked for in all."""
    told_alike_beside_configured_layouts(values)


@pytest.mark.slow
@settings(max_examples=6)
@given(st.lists(raw_values, max_size=25))
def test_any_of_many_values_is_told_alike_beside_configured_layouts(values: list[bytes | None]) -> None:
    """The same, of more values."""
    told_alike_beside_configured_layouts(values)


def told_alike_beside_configured_layouts(values: list[bytes | None]) -> None:
    """Compare what SQL and the careful reading tell of these and some more values."""
    rules = [
        DialectRule(name="house", key=r"house/(?P<dag_id>[^/]+)/(?P<key>[^/]+)"),
        DialectRule(name="odd", key=r"etl/a(?P<unique>[0-9a-f]{32})"),
    ]
    values = [*values, b'{"see": "house/etl/b"}', b'"prod/etl/a0123456789abcdef0123456789abcdef"', b'"house"']
    keys = [*keys_of(values), "prod/house/etl/b", "prod/etl/a0123456789abcdef0123456789abcdef", "prod/x"]
    batches = [rows(*(row(b"", row_key=f"[{number}]", raw=value) for number, value in enumerate(values)))]
    for some in ([rules[0]], rules):
        assert marked(Careful(some), [ROOT], keys, batches) == marked(
            DialectRegistry(some), [ROOT], keys, batches
        )
