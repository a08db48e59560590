# ruff: noqa: T201
"""What people do to look into a Parquet object, `BUCKET KEY`: download it, and `pandas.read_parquet`."""

from __future__ import annotations

import json
import sys
import tempfile

import boto3
import pandas as pd


def main(bucket: str, key: str) -> None:
    """Read it, and print its size and first rows."""
    with tempfile.NamedTemporaryFile() as file:
        boto3.client("s3").download_fileobj(bucket, key, file)
        file.flush()
        frame = pd.read_parquet(file.name)
    print(
        json.dumps(
            {"rows": len(frame), "columns": list(frame.columns), "first": frame["id"].head(3).tolist()}
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
