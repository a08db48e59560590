"""What a plan asks of the store before it can list or judge anything does not wait for one another."""

from __future__ import annotations

from threading import Barrier, BrokenBarrierError

from tests.faults.scene import OLD, Scene
from tests.services.fault_proxy import Forward
from tests.services.s3_requests import is_listing, lists_uploads
from tests.services.scripted_store import Answer, Asked

_PATIENCE = 60.0
"""Seconds: so long a machine that is busy may take to ask for the others."""


def question(asked: Asked, prefix: str) -> str | None:
    """Which of the questions it is that depend on no answer; None for all others."""
    if lists_uploads(asked):
        return "uploads"
    if is_listing(asked):
        return {f"{prefix}/": "objects", f"{prefix}/.xcomctl/journal/": "journal"}.get(asked.query["prefix"])
    if asked.method == "HEAD" and asked.path.endswith("/.xcomctl/owner.json"):
        return "owner"
    if asked.method == "HEAD" and asked.path.strip("/").count("/") == 0:
        return "clock"
    return None


def test_what_does_not_depend_on_each_other_is_asked_side_by_side(scene: Scene) -> None:
    """Owner, clock, journal, uploads and the first page: each is answered only once all have been asked."""
    scene.push()
    gone = scene.expired()
    together = Barrier(5)
    held: list[str] = []
    late: list[str] = []

    def hold(asked: Asked, forward: Forward) -> Answer:
        what = question(asked, scene.here.prefix)
        if what is not None and what not in held:
            held.append(what)
            try:
                together.wait(_PATIENCE)
            except BrokenBarrierError:
                late.append(what)
        return forward(asked)

    with scene.proxy.with_faults(hold):
        done = scene.run("gc", *OLD, "--min-age", "0s", "--unsafe-min-age", "--dry-run", "-o", "ndjson")
    assert (sorted(held), late) == (["clock", "journal", "objects", "owner", "uploads"], [])
    assert (done.code, gone in done.stdout) == (0, True), done.stderr


def test_the_rows_are_read_only_when_the_objects_are_listed_to_their_end(postgres_scene: Scene) -> None:
    """Whatever else is asked side by side: before the last page has come, no row of an XCom is read."""
    scene = postgres_scene
    scene.push()
    assert scene.database is not None
    listed: list[bool] = []
    read_before: list[str] = []

    def last_page(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked)
        if question(asked, scene.here.prefix) == "objects":
            listed.append(True)
        return answer

    def statement(number: int, text: str) -> None:
        if not listed and "xcom" in text and ("COPY" in text or "count(*)" in text):
            read_before.append(text)

    scene.database.before = statement
    try:
        with scene.proxy.with_faults(last_page):
            done = scene.run("gc", *OLD, "--dry-run", "-o", "json")
    finally:
        scene.database.before = None
    assert (done.code, listed, read_before) == (0, [True], []), done.stderr
