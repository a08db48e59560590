"""A configuration file and a policy to begin with, from what was found. No secret is ever in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a set-up. None is "not set"."""

    database: str | None = None
    """URL of the metadata database, with passwords masked."""
    database_origin: str | None = None
    """Where that comes from."""
    has_secret: bool = False
    """Whether something in the URL is masked, so that it cannot be written down."""
    is_airflows: bool = False
    """Whether Airflow's own settings name the database."""
    db_schema: str | None = None
    stores: tuple[str, ...] = ()
    endpoint_url: str | None = None
    region: str | None = None
    aws_profile: str | None = None
    unknown: int = 0
    """Newest rows whose value looks like a reference of a backend that is not known."""
    oldest_run: str | None = None
    """Date of the oldest run of the database."""


def suggested_config(found: Found) -> str:
    """A configuration file that `xcomctl config show` accepts."""
    return "\n".join(_config(found)) + "\n"


def suggested_policy(found: Found) -> str:
    """A careful policy file that `xcomctl policy check` accepts."""
    return "\n".join(_policy(found)) + "\n"


def _config(found: Found) -> Iterator[str]:
    yield "# Settings of xcomctl. Each can be said otherwise by a variable (XCOMCTL_STORE) or an option (--store)."
    yield ""
    yield from _database(found)
    if found.db_schema is not None:
        yield f"db_schema = {_text(found.db_schema)}"
    yield ""
    if found.stores:
        yield "# Where the objects of XComs live, and nothing else: what lies below and has no row is garbage."
        yield f"stores = {_list(found.stores)}"
    else:
        yield "# No reference shows where objects live. As soon as a backend writes some:"
        yield '# stores = ["s3://my-bucket/xcom"]'
    for name in ("endpoint_url", "region", "aws_profile"):
        value = getattr(found, name)
        if value is not None:
            yield f"{name} = {_text(value)}"
    yield ""
    yield "# More than one deployment? Each has a part of its own, chosen by --profile NAME or XCOMCTL_PROFILE."
    yield "# [profile.staging]"
    yield '# db = "postgresql://xcomctl@staging-db/airflow"'
    yield '# stores = ["s3://staging-bucket/xcom"]'
    if found.unknown:
        yield ""
        yield f"# {found.unknown} of the newest rows look like references of a backend that is not known. Describe it:"
        yield "# [[dialect]]"
        yield '# name = "our-backend"'
        yield "# reference = 'ours://(?P<key>.+)'"
        yield '# bucket = "my-bucket"'
        yield "# key = 'xcom/(?P<unique>[0-9a-f-]{36})[.]parquet'"


def _database(found: Found) -> Iterator[str]:
    if found.database is None:
        yield "# The metadata database. A password belongs into XCOMCTL_DB, PGPASSWORD or ~/.pgpass, not into this file."
        yield '# db = "postgresql://xcomctl@db.example.com/airflow"'
    elif found.is_airflows:
        yield f"# The metadata database is the one of Airflow's own settings ({found.database_origin})."
        yield "# Where Airflow is not set up, set XCOMCTL_DB."
    elif found.has_secret:
        yield "# The metadata database comes from a variable, for the sake of its password:"
        yield f"# export XCOMCTL_DB={_text(found.database)}"
    else:
        yield "# The metadata database. A password belongs into XCOMCTL_DB, PGPASSWORD or ~/.pgpass, not into this file."
        yield f"db = {_text(found.database)}"


def _policy(found: Found) -> Iterator[str]:
    since = f" The oldest run is of {found.oldest_run}." if found.oldest_run else ""
    yield "# What may go: xcomctl gc --policy policy.toml --dry-run shows it, and deletes nothing."
    yield ""
    yield f"[defaults]                # for every DAG.{since}"
    yield 'older_than = "90d"        # rows of runs that ended so long ago, with their objects'
    yield "keep_last = 3             # but the newest finished runs of each DAG stay"
    yield 'keep_failed = "180d"      # and failed runs stay longer'
    yield ""
    yield "# [[rules]]               # a DAG whose XComs are large and soon worthless"
    yield '# dag = "scratch_*"'
    yield '# older_than = "7d"'
    yield ""
    yield "# [[pins]]                # what must not go"
    yield '# dag = "train_*"'
    yield '# run = "manual__*"'
    yield '# reason = "audit"'
    yield ""
    yield "[trash]"
    yield 'keep = "14d"              # so long xcomctl undo can bring objects back'
    yield ""
    yield "[orphans]"
    yield "collect = true            # also objects that no row references"
    yield 'min_age = "24h"           # unless they are as young: their row may be on its way'


def _text(value: str) -> str:
    # A string of JSON is one of TOML.
    return json.dumps(value, ensure_ascii=False)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
