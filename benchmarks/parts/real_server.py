"""Listing SeaweedFS with a million objects: a real server, which is slower than its clients. Filling takes longest."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bucket import NAME, PREFIX, airflow_keys, even
from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.setting import Setting
from xcomctl.demo.server import SeaweedFS

_OBJECTS = 1_000_000
_WRITING = ("--log", "error", "--numworkers", "16", "run")


def cases(setting: Setting) -> Iterator[Case]:
    """One case."""
    sizes = even(setting.scaled(_OBJECTS, 1000))
    with SeaweedFS() as server:
        server.create_bucket(NAME)
        env = server.environment()
        _fill(setting, env, [key for key, _ in airflow_keys(sizes)])
        yield Case(
            f"list {sum(sizes):,} objects on SeaweedFS",
            (
                setting.script(OURS, "list_objects.py", "ours", NAME, PREFIX, env=env),
                setting.script("boto3 paginator", "list_objects.py", "boto3", NAME, PREFIX, env=env),
            ),
            (Wanted("cpu", "boto3 paginator", 11), Wanted("wall", "boto3 paginator", 1)),
            rounds=1,
        )


def _fill(setting: Setting, env: Mapping[str, str], keys: Sequence[str]) -> None:
    """Write a byte below each key, by s5cmd: in Python it would take twice as long."""
    if setting.peers is None:
        raise SystemExit("error: seaweedfs is filled by s5cmd; leave out --no-peers")
    with TemporaryDirectory() as folder:
        byte, commands = Path(folder, "byte"), Path(folder, "commands")
        byte.write_bytes(b"x")
        commands.write_text("".join(f"cp {byte} s3://{NAME}/{key}\n" for key in keys), encoding="utf-8")
        subprocess.run(  # noqa: S603 - a program of our own choice
            [setting.peers.program("s5cmd"), *_WRITING, str(commands)],
            env=setting.environment({**env, "S3_ENDPOINT_URL": env["AWS_ENDPOINT_URL"]}),
            check=True,
        )
