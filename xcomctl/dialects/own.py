"""Dialect `xcomctl`: what the backend of this repository writes (`docs/reference-format.md`)."""

from __future__ import annotations

import re

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import FOLDERS, QUOTED, UUID, DocumentPattern, Family

NAME = "xcomctl"

CUT_OR_ABSENT = "%7E"
"""Never the outcome of quoting (`~` is kept): it marks a component that is absent, or was cut to fit S3's limit."""

_LAYOUT = (
    rf"(?P<dag_id>{QUOTED})/(?P<run_id>{QUOTED})/(?P<task_id>{QUOTED})/(?P<map_index>-1|[0-9]{{1,9}})/(?P<key>{QUOTED})"
    rf"/(?P<unique>{UUID})\.(?:[a-z0-9]{{1,16}})(?:\.[a-z0-9]{{1,16}})?$"
)

_ROOT = rf"^(?P<prefix>{FOLDERS})" + _LAYOUT

_DOCUMENTS = (
    DocumentPattern(
        NAME,
        {"__xcomctl__": 1},
        "uri",
        "exact",
        codec_member="codec",
        size_member="size",
        sha256_member="sha256",
        root_pattern=_ROOT,
    ),
    # A version that this tool does not know: its object is kept, and nothing else is concluded from it.
    DocumentPattern(NAME, {"__xcomctl__": None}, "uri", "ambiguous"),
)

_FOLDER = r"[!#-.0-\[\]-~]*/"
_WORDS = r"(?:[A-Za-z0-9_]{1,31}\.)*[A-Za-z0-9_]{1,31}"
_URI = (
    rf'"uri": "(?P<uri>s3://[A-Za-z0-9.-]+/(?:{_FOLDER})*'
    + re.sub(r"\?P<[a-z_]+>", "?:", _LAYOUT[:-1])
    + r')"'
)
_CODEC = r'"codec": "[a-z0-9+-]{1,31}"'
_SIZE = r'"size": [0-9]{1,15}'
_SHA256 = r'"sha256": "(?P<sha256>[0-9a-f]{64})"'
_TYPE = rf'"type": "{_WORDS}"'
_NAME = rf'"name": "{_WORDS}"'
_INDEX = r'"index_columns": [0-9]{1,9}'
_MARKER = r'"__xcomctl__": 1'

WHOLE_VALUES = (
    rf"^\{{{_MARKER}, {_URI}, {_CODEC}, {_SIZE}, {_SHA256}(?:, {_TYPE})?(?:, {_INDEX})?(?:, {_NAME})?\}}$",
    rf"^\{{{_URI}(?:, {_NAME})?, {_SIZE}(?:, {_TYPE})?, {_CODEC}, {_SHA256}, {_MARKER}(?:, {_INDEX})?\}}$",
)
"""Most references as they are stored: as the backend writes them, and in the order that JSONB and MySQL bring them into.

Names with a dash, or with longer words, are left out: they may hold a uuid."""

FAMILY = Family((NAME,), documents=_DOCUMENTS, keys=(KeyPattern(NAME, r"(?:^|/)" + _LAYOUT, quoted=True),))
