"""Instances of people's own classes: enums, named tuples, dataclasses, attrs and pydantic models, field by field.

No code of the class runs when a value is stored or loaded (no `__init__`, no validator); but loading imports the module
of the class, so only classes that Airflow's own `[core] allowed_deserialization_classes` allows are loaded.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from importlib import import_module
from typing import Any, Callable, Mapping

from xcomctl_backend.errors import EncodingError, ReferenceFormatError

Convert = Callable[[Any], Any]


def class_name(kind: type) -> str:
    """Dotted name of a class, as errors and payloads have it; without the module for built-in types."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def instance_node(
    value: Any, encode: Convert, allowed: Callable[[str], bool]
) -> tuple[str, dict[str, Any]] | None:
    """Type name and members for an instance of a class of these kinds, None for any other value.

    Raises EncodingError for a class that could not be loaded again: a local one, or one that is not allowed.
    """
    kind = type(value)
    state: dict[str, Any]
    if isinstance(value, enum.Enum):
        known = value.name in kind.__members__
        name, state = "enum", {"name": value.name} if known else {"value": encode(value.value)}
    elif isinstance(value, tuple) and hasattr(kind, "_fields"):
        name, state = "namedtuple", {"items": [encode(item) for item in value]}
    elif dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        name, state = "dataclass", {"fields": _fields(value, names, encode)}
    elif hasattr(kind, "__attrs_attrs__"):
        name = "attrs"
        state = {"fields": _fields(value, [field.name for field in kind.__attrs_attrs__], encode)}
    elif _is_model(kind):
        name, state = "pydantic", _model_state(value, encode)
    else:
        return None
    dotted = class_name(kind)
    if "<locals>" in dotted or kind.__module__ == "__main__":
        raise EncodingError(f"it holds a {dotted}: a class must be at the top of a module to be loaded again")
    if not allowed(dotted):
        raise EncodingError(
            f"it holds a {dotted}, which could not be loaded again: add it to [core] allowed_deserialization_classes"
        )
    return name, {"module": kind.__module__, "class": kind.__qualname__, **state}


def instance_value(
    name: str, node: Mapping[str, Any], decode: Convert, allowed: Callable[[str], bool]
) -> Any:
    """The instance for a node that `instance_node` gave.

    Raises ReferenceFormatError if the class is not allowed, not there, or of another kind than the node says.
    """
    dotted = f"{node['module']}.{node['class']}"
    if not allowed(dotted):
        raise ReferenceFormatError(
            f"the value holds a {dotted}, which [core] allowed_deserialization_classes does not allow"
        )
    try:
        kind: Any = import_module(node["module"])
        for part in node["class"].split("."):
            kind = getattr(kind, part)
    except (ImportError, AttributeError):
        raise ReferenceFormatError(f"the value holds a {dotted}, which cannot be imported here") from None
    if not (isinstance(kind, type) and _KINDS[name](kind)):
        raise ReferenceFormatError(f"the value holds a {dotted}, which is not a {name} class any more")
    if name == "enum":
        members: Any = kind
        return members[node["name"]] if "name" in node else members(decode(node["value"]))
    if name == "namedtuple":
        return tuple.__new__(kind, [decode(item) for item in node["items"]])
    instance: Any = object.__new__(kind)
    if name == "pydantic":
        instance.__setstate__(_model_arguments(kind, node, decode))
        return instance
    for field, item in node["fields"].items():
        object.__setattr__(instance, field, decode(item))
    return instance


def _fields(value: Any, names: list[str], encode: Convert) -> dict[str, Any]:
    # A field that was never set (init=False) stays so.
    return {name: encode(getattr(value, name)) for name in names if hasattr(value, name)}


def _is_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _model_state(value: Any, encode: Convert) -> dict[str, Any]:
    if not hasattr(type(value), "model_fields"):
        return {"fields": _encoded(value.__dict__, encode), "set": sorted(value.__fields_set__)}
    undefined = sys.modules["pydantic_core"].PydanticUndefined
    private = {key: part for key, part in (value.__pydantic_private__ or {}).items() if part is not undefined}
    return {
        "fields": _encoded(value.__dict__, encode),
        "set": sorted(value.__pydantic_fields_set__),
        "extra": None if value.__pydantic_extra__ is None else _encoded(value.__pydantic_extra__, encode),
        "private": None if value.__pydantic_private__ is None else _encoded(private, encode),
    }


def _model_arguments(kind: Any, node: Mapping[str, Any], decode: Convert) -> dict[str, Any]:
    fields = _decoded(node["fields"], decode)
    if not hasattr(kind, "model_fields"):
        return {"__dict__": fields, "__fields_set__": set(node["set"]), "__private_attribute_values__": {}}
    extra, private = node.get("extra"), node.get("private")
    return {
        "__dict__": fields,
        "__pydantic_fields_set__": set(node["set"]),
        "__pydantic_extra__": None if extra is None else _decoded(extra, decode),
        "__pydantic_private__": None if private is None else _decoded(private, decode),
    }


def _encoded(parts: Mapping[str, Any], encode: Convert) -> dict[str, Any]:
    return {name: encode(part) for name, part in parts.items()}


def _decoded(parts: Mapping[str, Any], decode: Convert) -> dict[str, Any]:
    return {name: decode(part) for name, part in parts.items()}


_KINDS: dict[str, Callable[[Any], bool]] = {
    "enum": lambda kind: issubclass(kind, enum.Enum),
    "namedtuple": lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"),
    "dataclass": dataclasses.is_dataclass,
    "attrs": lambda kind: hasattr(kind, "__attrs_attrs__"),
    "pydantic": _is_model,
}
KINDS = frozenset(_KINDS)
"""Type names of the nodes that this module reads."""
