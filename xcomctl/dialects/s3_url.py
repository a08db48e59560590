"""Dialects `s3-url` and `bare-keys`: references that a user's own data may look like.

Every `s3://bucket/key` is at least an ambiguous reference. It is taken for one that a backend wrote only where it
has the form of the tutorials, `xcom.../<uuid>.<suffix>`, and lies under a root that the user gave.
"""

from __future__ import annotations

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import COMPRESSION, FOLDERS, S3, UUID_OR_HEX, Family, ReferencePattern

URL = "s3-url"
BARE = "bare-keys"

_XCOM_OBJECT = (
    rf"xcoms?(?:[_-][A-Za-z0-9_-]+)?/(?P<unique>{UUID_OR_HEX})"
    rf"\.(?:json|csv|txt|parquet|pkl|pickle)(?:{COMPRESSION})?"
)

_REFERENCES = (
    ReferencePattern(
        URL, rf"^{S3}(?P<bucket>[^/@]+)/(?P<key>{FOLDERS}{_XCOM_OBJECT})$", "exact", only_in="root"
    ),
    ReferencePattern(URL, rf"^{S3}(?P<bucket>[^/@]+)/(?P<key>[\s\S]+)$", "ambiguous"),
    # A scheme without a bucket: what stands in its place is the key.
    ReferencePattern(URL, rf"^{S3}(?P<key>data_(?P<unique>{UUID_OR_HEX})(?:\.[A-Za-z0-9]+)?)$", "ambiguous"),
    ReferencePattern(BARE, r"^(?P<key>(?:xcoms?|airflow/xcom|xcom_data)/\S+)$", "ambiguous"),
)

FAMILY = Family((URL, BARE), references=_REFERENCES, keys=(KeyPattern(URL, rf"(?:^|/){_XCOM_OBJECT}$"),))
