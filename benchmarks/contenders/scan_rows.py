# ruff: noqa: T201
"""Read every row of Airflow's table `xcom` with all its columns: `METHOD URL`; count them and those that are references."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Counted = tuple[int, int]
_AT_ONCE = 10_000


def ours(url: str) -> Counted:
    """The tool's snapshot: columns as Arrow, each row with the state of its run."""
    from contextlib import closing

    import pyarrow as pa
    import pyarrow.compute as pc

    from xcomctl.airflow.database import DatabaseSource

    rows = references = 0
    with closing(DatabaseSource(url)) as source, source.snapshot() as snapshot:
        for batch in snapshot.batches():
            rows += batch.num_rows
            found = pc.starts_with(batch.column("raw"), pattern=b'"s3://')
            references += pc.sum(found.cast(pa.int64())).as_py() or 0
    return rows, references


def core(url: str) -> Counted:
    """SQLAlchemy Core, streamed."""
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    table = sa.Table("xcom", sa.MetaData(), autoload_with=engine)
    rows = references = 0
    with engine.connect().execution_options(yield_per=_AT_ONCE) as connection:
        for row in connection.execute(sa.select(table)):
            rows += 1
            references += isinstance(row.value, str) and row.value.startswith("s3://")
    engine.dispose()
    return rows, references


def orm(url: str) -> Counted:
    """SQLAlchemy ORM with a model like Airflow's, streamed."""
    import sqlalchemy as sa
    from sqlalchemy import orm

    engine = sa.create_engine(url)
    table = sa.Table("xcom", sa.MetaData(), autoload_with=engine)
    model: Any = type("XCom", (orm.declarative_base(),), {"__table__": table})
    rows = references = 0
    with orm.Session(engine) as session:
        for row in session.execute(sa.select(model).execution_options(yield_per=_AT_ONCE)).scalars():
            rows += 1
            references += isinstance(row.value, str) and row.value.startswith("s3://")
    engine.dispose()
    return rows, references


METHODS: dict[str, Callable[[str], Counted]] = {"ours": ours, "core": core, "orm": orm}


def main(method: str, url: str) -> None:
    """Read, and print what was found."""
    rows, references = METHODS[method](url)
    print(json.dumps({"rows": rows, "references": references}))


if __name__ == "__main__":
    main(*sys.argv[1:])
