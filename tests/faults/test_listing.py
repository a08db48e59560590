"""Scenarios 12 and 20 to 24: listings that are not what they seem, and keys of every kind."""

from __future__ import annotations

import pytest

from tests.faults.scene import OLD, Scene, outcome, run_here
from tests.services.deployment import DAY, NO_WAIT
from tests.services.fault_proxy import Fault
from tests.services.s3_requests import is_listing_of_objects
from tests.services.store_faults import (
    error,
    error_inside_success,
    half_a_document,
    hang_up,
    only,
    page_lost,
    page_out_of_order,
    page_repeated,
    page_short,
    page_without_token,
    small_pages,
    truncated,
)
from tests.services.sweeps import sweep

BROKEN: list[tuple[str, Fault]] = [
    ("a page is repeated", only(is_listing_of_objects, page_repeated())),
    ("a page without a marker", only(is_listing_of_objects, page_without_token, first=2, times=1)),
    ("a page that announces more", only(is_listing_of_objects, page_short, first=2, times=1)),
    ("an error inside a 200", only(is_listing_of_objects, error_inside_success("InternalError"), first=2)),
    ("half a document", only(is_listing_of_objects, half_a_document, first=2)),
    ("half an answer", only(is_listing_of_objects, truncated, first=2)),
    ("503 for ever", only(is_listing_of_objects, error(503, "SlowDown"), first=2)),
    ("access denied", only(is_listing_of_objects, error(403, "AccessDenied"), first=2, times=1)),
    ("nobody answers", only(is_listing_of_objects, hang_up, first=2)),
]
HARMLESS: list[tuple[str, Fault]] = [
    ("a page is lost", only(is_listing_of_objects, page_lost, first=2, times=1)),
    ("a page is out of order", only(is_listing_of_objects, page_out_of_order, first=2, times=1)),
    ("a 503, once", only(is_listing_of_objects, error(503, "SlowDown"), first=2, times=1)),
    (
        "an error inside a 200, once",
        only(is_listing_of_objects, error_inside_success("InternalError"), first=2, times=1),
    ),
    ("a connection breaks, once", only(is_listing_of_objects, truncated, first=2, times=1)),
]


@pytest.fixture
def paged(scene: Scene) -> Scene:
    """Live objects, orphans and something expired, on several pages."""
    for run in ("a", "b", "c"):
        scene.push(run=run)
        scene.upload()
    scene.expired()
    scene.proxy.faults.append(small_pages(2))
    return scene


@pytest.mark.parametrize("fault", [fault for _, fault in BROKEN], ids=[name for name, _ in BROKEN])
def test_12_a_listing_that_is_not_whole_deletes_nothing(paged: Scene, fault: Fault) -> None:
    """Exit 7, and neither a row nor an object is gone."""
    before = paged.here.state()
    with paged.proxy.with_faults(fault):
        done = paged.gc(*OLD)
    assert (done.code, done.stdout, paged.here.state()) == (7, "", before), done.stderr
    paged.oracle.check()


@pytest.mark.parametrize(
    "fault",
    sweep(
        [pytest.param(fault, id=name) for name, fault in HARMLESS],
        lambda fault: fault in (HARMLESS[0][1], HARMLESS[1][1]),
    ),
)
def test_12_a_listing_that_misses_objects_or_is_odd_loses_nothing(paged: Scene, fault: Fault) -> None:
    """What is not listed is no candidate, and a row whose object is not listed asks for it by name."""
    with paged.proxy.with_faults(fault):
        done = paged.gc(*OLD)
    assert done.code == 0, done.stderr
    paged.oracle.check()
    assert (paged.gc(*OLD).code, len(paged.here.named() - paged.here.keys())) == (0, 0)
    paged.oracle.check()


def test_20_a_root_is_whole_segments(scene: Scene) -> None:
    """`xcom` does not reach into `xcom-prod`, and a mistyped root holds nothing that could go."""
    scene.push()
    scene.expired()
    neighbour = scene.upload(key="xcom-prod/etl/gone/load/11111111-1111-4111-8111-111111111111")
    keys = scene.here.keys()
    typo = (*scene.options[:2], "--store", f"s3://{scene.here.bucket}/xco", *scene.options[4:])
    done = run_here("gc", *typo, *NO_WAIT, "--yes", *OLD)
    assert scene.here.keys() == keys, done.stdout
    assert (scene.gc(*OLD).code, scene.present(neighbour)) == (0, [True])
    scene.oracle.check()


def test_21_other_peoples_files_are_never_touched(scene: Scene) -> None:
    """Logs, tables, markers of folders: no dialect claims them, and they stay at any age."""
    scene.push()
    foreign = [
        scene.upload(key=f"{scene.here.prefix}/{name}")
        for name in (
            "README.txt",
            ".keep",
            "logs/dag_id=etl/run_id=r1/task_id=load/attempt=1.log",
            "tables/orders/part-00000.snappy.parquet",
            "etl/manual__2026-11-01T00:00:00+00:00/notes.json",
        )
    ]
    orphan = scene.upload()
    done = scene.gc(*OLD)
    assert (done.code, scene.present(*foreign, orphan)) == (0, [True] * len(foreign) + [False])
    scene.oracle.check()


RUNS = (
    "manual__2026-11-01T00:00:00+00:00",
    "scheduled__2026-11-01T00:00:00.123456+00:00",
    "per%cent%2B",
    "sp ace'quote",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "cafe\N{COMBINING ACUTE ACCENT}",
    "\N{GRINNING FACE}",
    "dot.",
    "a=b&c;d,e@f$g!h*i(j)",
    "long-" + "x" * 200,
)


def test_22_keys_of_any_kind_are_matched_exactly(scene: Scene) -> None:
    """Live ones stay, expired ones go, whatever characters the name of a run has, composed and decomposed alike."""
    scene.push(run="new")
    live, gone = [], []
    for number, run in enumerate(RUNS):
        dag = f"dag{number % 2}"
        live.append(scene.push(dag, run, name="live"))
        gone.append(scene.push("old", run, name="gone", age=40 * DAY, stays=False))
    done = scene.gc(*OLD, "--keep-last", "0")
    assert done.code == 0, done.stderr
    assert (scene.present(*live), scene.present(*gone)) == ([True] * len(live), [False] * len(gone))
    scene.oracle.check()


def test_23_every_spelling_of_an_address_keeps_its_object(scene: Scene) -> None:
    """Other connection ids, none, the schemes of Hadoop's clients: all mean the object of that bucket and key."""
    bucket = scene.here.bucket
    keys = []
    for number, head in enumerate((f"aws_default@{bucket}", f"other@{bucket}", bucket)):
        for scheme in ("s3", "s3a", "s3n"):
            run = f"{scheme}{number}"
            key = f"{scene.here.prefix}/etl/{run}/load/{number:08}-1111-4111-8111-{ord(scheme[-1]):012}"
            keys.append(scene.push(run=run, key=key, uri=f"{scheme}://{head}/{key}"))
    orphan = scene.upload()
    done = scene.gc()
    assert (done.code, scene.present(*keys, orphan)) == (0, [True] * len(keys) + [False]), done.stderr
    scene.oracle.check()


def test_23_a_base_path_that_moved_needs_both_roots(scene: Scene) -> None:
    """With both roots everything is in reach; with the new one alone the old objects are out of reach, and stay."""
    old_path = scene.push(run="before", key="older/etl/before/load/11111111-1111-4111-8111-111111111111")
    expired = scene.push(
        run="long before",
        key="older/etl/long before/load/22222222-1111-4111-8111-111111111111",
        age=40 * DAY,
        stays=False,
    )
    scene.push()
    orphan = scene.upload()
    rows = scene.here.refs()
    assert (scene.gc(*OLD).code, scene.here.refs()) == (0, rows)
    assert scene.present(old_path, expired, orphan) == [True, True, False]
    both = scene.gc(*OLD, "--store", f"s3://{scene.here.bucket}/older")
    assert (both.code, outcome(both)["rows"]) == (0, {"deleted": 1}), both.stderr
    assert scene.present(old_path, expired) == [True, False]
    scene.oracle.check()


def test_24_a_second_reference_keeps_the_object_of_a_row_that_goes(scene: Scene) -> None:
    """A task returned the address that it had got: the first row expires, the object stays with the second."""
    body = scene.new_body()
    key = scene.expired(body=body)
    scene.commit(key, body, "report", "r1")
    scene.push()
    done = scene.gc(*OLD)
    assert (done.code, outcome(done)["rows"], scene.present(key)) == (0, {"deleted": 1}, [True]), done.stderr
    scene.oracle.check()
