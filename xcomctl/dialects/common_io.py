"""Dialects `common-io` and `common-io-attempt`: Airflow's own `XComObjectStorageBackend`.

Until provider 1.10, and on Airflow before 3.4, an object is named by a uuid of its own. From provider 1.11 on
Airflow 3.4 it is named by the attempt that wrote it and by its XCom key, so that a re-push overwrites it.
"""

from __future__ import annotations

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import (
    COMPRESSION,
    FOLDERS,
    QUOTED,
    S3,
    SEGMENT,
    UUID,
    Family,
    ReferencePattern,
)

NAME = "common-io"
ATTEMPT = "common-io-attempt"

_COORDINATES = rf"(?P<dag_id>{SEGMENT})/(?P<run_id>{SEGMENT})/(?P<task_id>{SEGMENT})"
_LAYOUT = rf"{_COORDINATES}/(?P<unique>{UUID})(?:{COMPRESSION})?"
# The uuid of an attempt is shared by all its XComs: only together with the key is it unique.
_ATTEMPT = rf"(?:ti|write)-{UUID}"
_NAME_AFTER_KEY = rf"\.json(?:{COMPRESSION})?"
_ATTEMPT_LAYOUT = rf"{_COORDINATES}/(?P<unique>{_ATTEMPT}/(?P<key>{QUOTED}){_NAME_AFTER_KEY})"
# In a reference `key` is the key of the object.
_ATTEMPT_REFERENCE = rf"{_COORDINATES}/(?P<unique>{_ATTEMPT}/{QUOTED}{_NAME_AFTER_KEY})"

_ATTEMPT_REFERENCES = (
    ReferencePattern(
        ATTEMPT,
        rf"^{S3}(?P<bucket>[^/@]+)/(?P<key>(?P<prefix>{FOLDERS}){_ATTEMPT_REFERENCE})$",
        "exact",
        codec="json",
        shows_root="prefix",
    ),
)
_REFERENCES = (
    ReferencePattern(
        NAME,
        rf"^{S3}(?P<bucket>[^/@]+)/(?P<key>(?P<prefix>{FOLDERS}){_LAYOUT})$",
        "exact",
        codec="json",
        shows_root="prefix",
    ),
)

FAMILY = Family(
    (NAME,), references=_REFERENCES, keys=(KeyPattern(NAME, rf"(?:^|/){_LAYOUT}$", codec="json"),)
)
# Airflow quotes only the XCom key. Its other ids have no `%` in them (the default `allowed_run_id_pattern`), so
# that to unquote all groups is the same.
ATTEMPTS = Family(
    (ATTEMPT,),
    references=_ATTEMPT_REFERENCES,
    keys=(KeyPattern(ATTEMPT, rf"(?:^|/){_ATTEMPT_LAYOUT}$", quoted=True, codec="json"),),
)
