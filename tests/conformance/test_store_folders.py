"""What lies directly below a root: its folders, and the objects that are in none. Together they are the whole listing."""

from __future__ import annotations

from tests.conformance.bench import Bench
from xcomctl.models import Root


def test_folders_and_loose_objects_are_all_there_is(bench: Bench) -> None:
    """Whatever their names; what lies elsewhere is not among them."""
    root = Root(bench.bucket, "p/")
    inside = ["a.csv", "b+c d%2F", "é", "etl/r1/x", "etl/y", "dag_id=a/x", ".xcomctl/lock.json"]
    for key in (*(f"p/{key}" for key in inside), "q/x", "px", "p.csv"):
        bench.put(key)
    loose = {one["key"] for batch in bench.store.loose(root) for one in batch.to_pylist()}
    folders = bench.store.folders(root)
    assert loose == {"p/a.csv", "p/b+c d%2F", "p/é"}
    assert sorted(folders) == [".xcomctl/", "dag_id=a/", "etl/"]
    listed = {
        one["key"]
        for folder in folders
        for batch in bench.store.batches(Root(bench.bucket, f"p/{folder}"))
        for one in batch.to_pylist()
    }
    assert loose | listed == {f"p/{key}" for key in inside}


def test_an_empty_root_has_neither(bench: Bench) -> None:
    """No folder, no object, no error."""
    root = Root(bench.bucket, "nothing/")
    assert (bench.store.folders(root), list(bench.store.loose(root))) == ([], [])
