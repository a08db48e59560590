"""URLs without their secrets, for messages and `config show`."""

from __future__ import annotations

import re

MASK = "***"

_WELL_FORMED = re.compile(r"^([a-z][\w+.-]*://[^:/?#@\s]*):[^@/?#]*@(?=[^@?#]*(?:[?#]|$))", re.IGNORECASE)
# A password with an unquoted `@`, `/` or `?`: everything up to the last `@` goes, rather than too little.
_CARELESS = re.compile(r"^([a-z][\w+.-]*://[^:/?#@\s]*):.*@", re.IGNORECASE | re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"([?&;][^=&;#]*(?:pass|pwd|secret|token|credential|signature|key)[^=&;#]*=)[^&;#]*", re.IGNORECASE
)


def mask_url(url: str) -> str:
    """`url` with its password, and query parameters that sound like secrets, replaced by `***`."""
    masked, found = _WELL_FORMED.subn(rf"\g<1>:{MASK}@", url)
    if not found:
        masked = _CARELESS.sub(rf"\g<1>:{MASK}@", url)
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", masked)
