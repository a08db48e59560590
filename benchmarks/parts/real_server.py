"""Listing SeaweedFS with a million objects: a real server, which is slower than its clients. Filling takes ten minutes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from benchmarks.bucket import NAME, PREFIX, airflow_keys, even
from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.setting import Setting
from xcomctl.demo.server import SeaweedFS

_OBJECTS = 1_000_000
_WRITERS = 16


def cases(setting: Setting) -> Iterator[Case]:
    """One case."""
    sizes = even(setting.scaled(_OBJECTS, 1000))
    with SeaweedFS() as server:
        server.create_bucket(NAME)
        with closing(server.client()) as client, ThreadPoolExecutor(_WRITERS) as writers:
            bodies = ((key, b"x" * (1 + number % 100)) for number, (key, _) in enumerate(airflow_keys(sizes)))
            for _ in writers.map(lambda one: client.put_object(Bucket=NAME, Key=one[0], Body=one[1]), bodies):
                pass
        env = {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_DEFAULT_REGION": server.region,
            "AWS_ENDPOINT_URL": server.endpoint_url,
        }
        yield Case(
            f"list {sum(sizes):,} objects on SeaweedFS",
            (
                setting.script(OURS, "list_objects.py", "ours", NAME, PREFIX, env=env),
                setting.script("boto3 paginator", "list_objects.py", "boto3", NAME, PREFIX, env=env),
            ),
            (Wanted("cpu", "boto3 paginator", 11), Wanted("wall", "boto3 paginator", 1)),
            rounds=1,
        )
