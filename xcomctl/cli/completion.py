"""Names from the database for the shell that completes a word: at once, or not at all. Never an error, never a wait."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import typer

from xcomctl.models import DEFAULT_KEY, xcom_ref

if TYPE_CHECKING:
    from xcomctl.config.session import Session

_PATIENCE = 1.0
"""Seconds that the database may take to answer."""
_FRESH = 60.0
"""Seconds for which an answer is remembered."""
_SPARED = 5.0
"""Seconds for which a database that did not answer is not asked again."""
_MOST = 500
"""Names that are offered."""

Query = Callable[["Session"], Iterable[str]]


def complete_dag(ctx: typer.Context, incomplete: str) -> list[str]:
    """DAG ids."""
    return _beginning(_dags(ctx), incomplete)


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Runs of the DAG that `--dag` names, newest first."""
    dag_id = ctx.params.get("dag")
    return _beginning(_runs(ctx, dag_id), incomplete) if dag_id else []


def complete_task(ctx: typer.Context, incomplete: str) -> list[str]:
    """Tasks with XComs in the run that is named, or in the newest one."""
    return _beginning([task for task, _, _ in _named_in_run(ctx)], incomplete)


def complete_key(ctx: typer.Context, incomplete: str) -> list[str]:
    """Keys of the task that is named, or of all in the run."""
    task_id = ctx.params.get("task")
    return _beginning([key for task, _, key in _named_in_run(ctx) if task_id in (None, task)], incomplete)


def complete_ref(ctx: typer.Context, incomplete: str) -> list[str]:
    """`dag/run/task[3]:key`, part by part: what ends in `/` goes on."""
    dag_id, slash, rest = incomplete.partition("/")
    if not slash:
        return _beginning([f"{each}/" for each in _dags(ctx)], incomplete)
    runs = ["latest", *_runs(ctx, dag_id)]
    # A run id may have a slash itself.
    run_id = next((each for each in runs if rest.startswith(f"{each}/")), None)
    if run_id is None:
        return _beginning([f"{dag_id}/{each}/" for each in runs] if len(runs) > 1 else [], incomplete)
    names = []
    for task, index, key in _in_run(ctx, dag_id, runs[1] if run_id == "latest" and runs[1:] else run_id):
        names.append(xcom_ref(dag_id, run_id, task, index, key).removesuffix(f":{DEFAULT_KEY}"))
    return _beginning(names, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that go on from what was typed, each once. Names that a shell could not take on one line are left out."""
    fitting = (name for name in names if name.startswith(incomplete) and name.isprintable())
    return list(dict.fromkeys(fitting))[:_MOST]


def _named_in_run(ctx: typer.Context) -> list[tuple[str, int, str]]:
    dag_id, run_id = ctx.params.get("dag"), ctx.params.get("run")
    if not dag_id:
        return []
    run_id = run_id or next(iter(_runs(ctx, dag_id)), None)
    return _in_run(ctx, dag_id, run_id) if run_id else []


def _dags(ctx: typer.Context) -> list[str]:
    return _remembered(ctx, ["dags"], lambda session: sorted(session.source.dag_ids()))


def _runs(ctx: typer.Context, dag_id: str) -> list[str]:
    return _remembered(ctx, ["runs", dag_id], lambda session: session.source.run_ids(dag_id, limit=_MOST))


def _in_run(ctx: typer.Context, dag_id: str, run_id: str) -> list[tuple[str, int, str]]:
    names = _remembered(
        ctx,
        ["names", dag_id, run_id],
        lambda session: map(json.dumps, session.source.names_in_run(dag_id, run_id)),
    )
    return [(task, index, key) for task, index, key in map(json.loads, names)]


def _remembered(ctx: typer.Context, question: list[str], query: Query) -> list[str]:
    """The answer, from the cache or from the database within `_PATIENCE`; an old one rather than none."""
    answers: list[list[str]] = []

    def ask() -> None:
        # Whatever goes wrong, there is nobody to tell: the shell is in the middle of a line.
        with contextlib.suppress(Exception):
            answers.extend(_answers(ctx, question, query))

    # The settings may run a command, and a host that is down answers nothing at all: neither may hold the shell up.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return answers[-1] if answers else []


def _answers(ctx: typer.Context, question: list[str], query: Query) -> Iterator[list[str]]:
    """What is remembered, and if that is old, then also what the database says now."""
    with _session(ctx) as session:
        file = _file(session, question)
        kept = _read(file)
        names = [] if kept is None else list(kept["names"])
        yield names
        if kept is not None and kept["until"] > time.time():
            return
        # From now on: if the database never answers, the next word does not wait for it.
        _write(file, names, _SPARED)
        names = list(query(session))[: _MOST * 2]
        _write(file, names, _FRESH)
        yield names


def _session(ctx: typer.Context) -> Session:
    from xcomctl.config.session import Session
    from xcomctl.config.settings import Flags

    given = ctx.params
    flags = Flags(
        db=given.get("db"),
        db_schema=given.get("db_schema"),
        profile=given.get("profile"),
        config=None if given.get("config") is None else Path(given["config"]),
    )
    return Session(flags.load())


def _file(session: Session, question: list[str]) -> Path:
    """The file of an answer: named after the database, without its password, and the question."""
    import hashlib

    from xcomctl.config.masking import mask_url

    settings = session.configuration
    asked = [mask_url(settings.database().value), settings.db_schema().value, *question]
    name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
    return settings.cache_folder() / "completion" / f"{name}.json"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(kept, dict) and isinstance(kept.get("names"), list)
    return kept if known and isinstance(kept.get("until"), (int, float)) else None


def _write(file: Path, names: list[str], seconds: float) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"until": time.time() + seconds, "names": names}), encoding="utf-8")
    part.replace(file)
