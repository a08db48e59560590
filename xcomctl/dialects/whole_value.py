"""Which references a value *is*: deeper inside a list or dict, a reference leaves the value where it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from xcomctl.dialects import values
from xcomctl.dialects.interface import Dialects, Reference, certainty
from xcomctl.models import Root


def whole_references(raw: bytes | None, dialects: Dialects, roots: Sequence[Root]) -> list[Reference]:
    """The readings under which a stored value is itself a reference, the most certain first.

    Empty for a value that is not one, whatever it mentions: then the value lives in the row.
    """
    read = dialects.references(raw, roots)
    decoded = values.decode(raw)
    if not read or not isinstance(decoded, values.Json):
        return []
    layers = list(values.layers(decoded.value))
    texts = {layer.strip() for layer in layers if isinstance(layer, str)}
    whole = [reference for reference in read if reference.text in texts]
    if isinstance(layers[-1], dict):
        # A dict is a reference by its members together; what a member is by itself lies inside.
        inside = [one for member in layers[-1].values() for one in _references_in(member, dialects, roots)]
        whole += [reference for reference in read if reference not in inside and reference not in whole]
    return sorted(whole, key=certainty, reverse=True)


def _references_in(member: Any, dialects: Dialects, roots: Sequence[Root]) -> list[Reference]:
    return dialects.references(json.dumps(member).encode(), roots)
