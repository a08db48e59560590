"""Starting: the help, and the first page of `ls` on three million rows, against `aws --version`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.comparison import OURS, Answer, Case, Contender, Wanted
from benchmarks.database import filled
from benchmarks.parts.scanning import DAGS, RUNS
from benchmarks.setting import Setting

_LIMIT = 50
_ROUNDS = 15


def cases(setting: Setting) -> Iterator[Case]:
    """Two cases. Nothing has to agree: what `aws` says is not what ours says."""
    if setting.peers is None:
        return
    env = setting.environment()
    aws = Contender("aws --version", (setting.peers.program("aws"), "--version"), env, _spoken)
    ours = Contender(OURS, setting.tool("--help"), env, _spoken)
    yield Case("xcomctl --help", (ours, aws), (Wanted("wall", aws.name, 1 / 0.6),), _ROUNDS)
    runs = setting.scaled(RUNS, 2)
    with filled(DAGS, runs, small=True) as url:
        command = setting.tool("ls", "--db", url, "--dag", "team_etl_pipeline_00042", "--limit", _LIMIT)
        listed = replace(ours, command=command)
        name = f"xcomctl ls --dag D --limit {_LIMIT} on {DAGS * runs * 15:,} rows"
        # Sizes are asked of the store, with boto3: without them only the database is.
        bare = replace(ours, name=f"{OURS} --no-stat", command=(*command, "--no-stat"))
        yield Case(name, (listed, bare, aws), (Wanted("wall", aws.name, 1),), _ROUNDS)


def _spoken(output: bytes) -> Answer:
    return {"said something": bool(output.strip())}
