"""Options that need no conversion, kept from typer's: newer releases load pydantic for it, a sixth of a start."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, get_args

_UNKNOWN = object()


def spare_conversions(command: Any) -> Any:
    """The command, which from now on converts only what has to be. Of older releases it is as it was."""
    declared = command.get_params

    def get_params(ctx: Any) -> Any:
        # `--help` is among them only here.
        parameters = declared(ctx)
        for parameter in parameters:
            described = getattr(parameter, "type_descriptor", None)
            if described is not None and not parameter.required and "process_value" not in vars(parameter):
                parameter.process_value = _sparing(parameter, described, parameter.process_value)
        return parameters

    command.get_params = get_params
    return command


def _sparing(parameter: Any, described: Any, process: Callable[..., Any]) -> Callable[..., Any]:
    """`process`, asked only for values that are not what they should become already."""

    def process_value(ctx: Any, value: Any) -> Any:
        plain = _UNKNOWN
        if parameter.multiple:
            plain = _texts(described.annotation, value)
        elif parameter.nargs == 1:
            plain = _one(described, value)
        if plain is _UNKNOWN:
            return process(ctx, value)
        return plain if parameter.callback is None else parameter.callback(ctx, parameter, plain)

    return process_value


def _texts(kind: Any, value: Any) -> Any:
    if value is None:
        return ()
    if get_args(kind) == (str,) and isinstance(value, (list, tuple)):
        return list(value)
    return _UNKNOWN


def _one(described: Any, value: Any) -> Any:
    kind = described.annotation
    if value is None:
        return None
    if kind in (str, bool, int) and type(value) is kind:
        # A default is within its own limits; what is typed comes as text.
        return value
    if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, str) and value.isascii() and value.isdigit():
        number, limits = int(value), described.parameter_info
        if (limits.min is None or limits.min <= number) and (limits.max is None or number <= limits.max):
            return number
    return _UNKNOWN
