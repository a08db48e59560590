"""Values that are plainly what they should become, kept from typer's conversion: it loads pydantic, half of a start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any


def spare_conversions(parameters: Iterable[Any]) -> None:
    """Let typer convert only what is not plain. Releases before 0.29 do it without pydantic, and are left alone."""
    for parameter in parameters:
        if hasattr(parameter, "type_descriptor"):
            parameter.process_value = _sparing(parameter, parameter.type_descriptor.annotation)


def _sparing(parameter: Any, kind: Any) -> Callable[[Any, Any], Any]:
    convert = parameter.process_value

    def process_value(ctx: Any, value: Any) -> Any:
        if type(value) is kind or (value is None and not parameter.required):
            plain = value
        elif kind == list[str] and isinstance(value, (list, tuple)):
            plain = list(value)
        elif isinstance(kind, type) and issubclass(kind, Enum) and value in [member.value for member in kind]:
            plain = kind(value)
        elif kind is int and _is_number(value, parameter):
            plain = int(value)
        elif kind is Path and isinstance(value, str):
            # No option of ours asks typer to look whether something is there.
            plain = Path(value)
        else:
            return convert(ctx, value)
        return plain if parameter.callback is None else parameter.callback(ctx, parameter, plain)

    return process_value


def _is_number(text: Any, limits: Any) -> bool:
    """Whether it is a number in digits, within the limits."""
    if not (isinstance(text, str) and text.isascii() and text.isdigit()):
        return False
    return (limits.min is None or limits.min <= int(text)) and (limits.max is None or int(text) <= limits.max)
