"""The `xcom_s3://` dialects of tutorials and articles. One scheme, three meanings of its first segment.

`xcom-s3`: a key, flat in a bucket that is a constant of the backend. `xcom-s3-bucket`: the bucket.
`xcom-s3-run`: the run id, first segment of a key. A bucket that the user gave decides, then a character that no
bucket name may have, else the reference is ambiguous; its addresses are those of all readings.
"""

from __future__ import annotations

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import COMPRESSION, SEGMENT, UUID_OR_HEX, Family, ReferencePattern

FLAT = "xcom-s3"
BUCKET = "xcom-s3-bucket"
RUN = "xcom-s3-run"

_SCHEME = "xcom_s3://"
_SUFFIX = rf"\.(?:csv|json|html|txt|parquet|pkl|pickle|dat)(?:{COMPRESSION})?"
_BUCKET_NAME = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
# Older buckets of us-east-1 may have capitals and underscores: those count if the user names them.
_ANY_BUCKET = r"[A-Za-z0-9._-]{3,255}"
_NOT_A_BUCKET = r"[^/]*[^/a-z0-9.-][^/]*"
_RUN_OBJECT = rf"(?P<task_id>{SEGMENT})/data_(?P<unique>{UUID_OR_HEX})\.(?:json|csv|html)"

_REFERENCES = (
    ReferencePattern(
        BUCKET,
        rf"^{_SCHEME}(?P<bucket>{_ANY_BUCKET})/(?P<key>[\s\S]+)$",
        "exact",
        only_in="bucket of a root",
        shows_root="bucket",
    ),
    ReferencePattern(RUN, rf"^{_SCHEME}(?P<key>(?P<run_id>{_NOT_A_BUCKET})/{_RUN_OBJECT})$", "configured"),
    ReferencePattern(
        FLAT, rf"^{_SCHEME}(?P<key>data_csv_(?P<unique>{UUID_OR_HEX}))$", "configured", codec="csv"
    ),
    ReferencePattern(
        FLAT, rf"^{_SCHEME}(?P<key>data_dat_(?P<unique>{UUID_OR_HEX}))$", "configured", codec="pickle"
    ),
    ReferencePattern(FLAT, rf"^{_SCHEME}(?P<key>data_(?P<unique>{UUID_OR_HEX}))$", "configured", codec="csv"),
    ReferencePattern(FLAT, rf"^{_SCHEME}(?P<key>data_(?P<unique>{UUID_OR_HEX}){_SUFFIX})$", "configured"),
    ReferencePattern(RUN, rf"^{_SCHEME}(?P<key>(?P<run_id>{SEGMENT})/{_RUN_OBJECT})$", "ambiguous"),
    ReferencePattern(
        BUCKET,
        rf"^{_SCHEME}(?P<bucket>{_BUCKET_NAME})/(?P<key>[\s\S]+)$",
        "ambiguous",
        shows_root="bucket",
    ),
    ReferencePattern(FLAT, rf"^{_SCHEME}(?P<key>[\s\S]+)$", "ambiguous"),
)

_KEYS = (
    KeyPattern(
        BUCKET,
        rf"(?:^|/)airflow/xcom/(?P<dag_id>{SEGMENT})/(?P<run_id>{SEGMENT})/(?P<task_id>{SEGMENT})"
        rf"/data_(?P<unique>{UUID_OR_HEX})\.csv$",
        codec="csv",
    ),
    KeyPattern(RUN, rf"(?:^|/)(?P<run_id>{SEGMENT})/{_RUN_OBJECT}$"),
    KeyPattern(FLAT, rf"(?:^|/)data_csv_(?P<unique>{UUID_OR_HEX})$", codec="csv"),
    KeyPattern(FLAT, rf"(?:^|/)data_dat_(?P<unique>{UUID_OR_HEX})$", codec="pickle"),
    KeyPattern(FLAT, rf"(?:^|/)data_(?P<unique>{UUID_OR_HEX})$", codec="csv"),
    KeyPattern(FLAT, rf"(?:^|/)data_(?P<unique>{UUID_OR_HEX}){_SUFFIX}$"),
)

FAMILY = Family((BUCKET, RUN, FLAT), references=_REFERENCES, keys=_KEYS)
