"""Dialect `astronomer-providers`: the S3 backend of the package of that name; a bare key, the bucket is configured."""

from __future__ import annotations

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import UUID_OR_HEX, Family, ReferencePattern

NAME = "astronomer-providers"

_FRAME = rf"s3_xcom_(?P<unique>{UUID_OR_HEX})_dataframe(?:\.gz)?"
# JSON as a rule, or a pickle where Airflow was told to pickle: the content decides.
_OTHER = rf"s3_xcom_(?P<unique>{UUID_OR_HEX})(?:_datetime)?(?:\.gz)?"

_REFERENCES = (
    ReferencePattern(NAME, rf"^(?P<key>{_FRAME})$", "configured", codec="json"),
    ReferencePattern(NAME, rf"^(?P<key>{_OTHER})$", "configured"),
)

_KEYS = (
    KeyPattern(NAME, rf"(?:^|/){_FRAME}$", codec="json"),
    KeyPattern(NAME, rf"(?:^|/){_OTHER}$"),
)

FAMILY = Family((NAME,), references=_REFERENCES, keys=_KEYS)
