# ruff: noqa: T201
"""What a script of an evening does, `URL BUCKET PREFIX`: boto3's paginator, SQLAlchemy's ORM, and dicts.

Counts the objects that no row names, and the rows whose object is not there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3
import sqlalchemy as sa
from sqlalchemy import orm


def main(url: str, bucket: str, prefix: str) -> None:
    """Collect nothing, and print what could be."""
    objects: dict[str, Any] = {}
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            objects[f"s3://{bucket}/{item['Key']}"] = item
    engine = sa.create_engine(url)
    table = sa.Table("xcom", sa.MetaData(), autoload_with=engine)
    model: Any = type("XCom", (orm.declarative_base(),), {"__table__": table})
    rows: dict[str, Any] = {}
    with orm.Session(engine) as session:
        for row in session.execute(sa.select(model).execution_options(yield_per=10_000)).scalars():
            if isinstance(row.value, str) and row.value.startswith("s3://"):
                rows[row.value] = (row.dag_id, row.run_id, row.task_id, row.map_index, row.key)
    orphaned = sum(uri not in rows for uri in objects)
    dangling = sum(uri not in objects for uri in rows)
    print(json.dumps({"orphaned": orphaned, "dangling": dangling}))


if __name__ == "__main__":
    main(*sys.argv[1:])
