"""Dialect `xcomctl`: what the backend of this repository writes (`docs/reference-format.md`)."""

from __future__ import annotations

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import FOLDERS, QUOTED, UUID, DocumentPattern

NAME = "xcomctl"

CUT_OR_ABSENT = "%7E"
"""Never the outcome of quoting (`~` is kept): it marks a component that is absent, or was cut to fit S3's limit."""

_LAYOUT = (
    rf"(?P<dag_id>{QUOTED})/(?P<run_id>{QUOTED})/(?P<task_id>{QUOTED})/(?P<map_index>-1|[0-9]{{1,9}})/(?P<key>{QUOTED})"
    rf"/(?P<unique>{UUID})\.(?:[a-z0-9]{{1,16}})(?:\.[a-z0-9]{{1,16}})?$"
)

_ROOT = rf"^(?P<prefix>{FOLDERS})" + _LAYOUT

DOCUMENTS = (
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

KEYS = (KeyPattern(NAME, r"(?:^|/)" + _LAYOUT, quoted=True),)
