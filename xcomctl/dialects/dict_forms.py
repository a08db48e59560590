"""Dialect `dict-forms`: references that home-made backends and the astro-sdk write as JSON objects.

A member that only such a backend would write makes a reference; a member that a user's own dict may have as well
(`s3_key`) makes an ambiguous one. None of these backends has a layout of keys by which it could claim an object.
"""

from __future__ import annotations

from xcomctl.dialects.patterns import DocumentPattern, Family

NAME = "dict-forms"

_DOCUMENTS = (
    DocumentPattern(NAME, {"__s3_ref__": None}, "__s3_ref__", "configured"),
    DocumentPattern(NAME, {"__s3_ref": None}, "__s3_ref", "configured"),
    DocumentPattern(NAME, {"__s3_key__": None}, "__s3_key__", "configured"),
    DocumentPattern(NAME, {"__custom_remote_xcom__": True}, "s3_uri", "exact"),
    DocumentPattern(NAME, {"__s3_xcom_pointer__": True}, "s3_uri", "exact"),
    DocumentPattern(
        NAME,
        {"__type": "jobsearch_minio_xcom_v1"},
        "object_key",
        "exact",
        bucket="bucket",
        size_member="size",
    ),
    # The astro-sdk writes the same form for the user's own files, then without `is_dataframe`.
    DocumentPattern(NAME, {"class": "File", "is_dataframe": True}, "path", "exact"),
    DocumentPattern(NAME, {"class": "Table", "is_dataframe": True}, "path", "exact"),
    DocumentPattern(NAME, {"XCOM_TYPE": "dataframe"}, "obj_path", "ambiguous", bucket="bucket"),
    DocumentPattern(NAME, {"xcom_ref": None}, "xcom_ref", "ambiguous"),
    DocumentPattern(NAME, {"s3_key": None}, "s3_key", "ambiguous", bucket="bucket"),
    DocumentPattern(NAME, {"s3_key": None}, "s3_key", "ambiguous"),
)

FAMILY = Family((NAME,), documents=_DOCUMENTS)
