"""Any value as a tree of JSON, with the types that JSON lacks written as marked objects, and back.

What is large or binary within the value (frames, arrays, bytes, files) becomes a part beside the tree. The form is
part of `docs/reference-format.md`. Nothing in a tree is executed; classes are imported only if Airflow's own list of
classes allows them.
"""

from __future__ import annotations

import base64
import math
import sys
from decimal import Decimal
from typing import Any, Callable, Mapping
from uuid import UUID

from xcomctl_backend import _classes, _tables, _times
from xcomctl_backend._files import File
from xcomctl_backend._plain import RESERVED
from xcomctl_backend.errors import EncodingError, ReferenceFormatError

TYPE = "__xcomctl_type__"
"""Member that makes a JSON object of the tree a value of the type that it names."""
TREE = "__xcomctl_tree__"
"""Member of the document around a tree: the version of the tree's form."""
TREE_VERSION = 1
_SMALL_BYTES = 512
"""Bytes up to here stay in the tree, as base64."""
_MAX_DEPTH = 200
"""As deep may containers be nested: every reader of Python's own limits gets there."""

Foreign = Callable[[Any], Any]


class TreeEncoder:
    """Writes one value. `parts` are the codec and the content of each part, in order.

    `dump_foreign` is asked for the JSON of what is unknown here; it raises TypeError for what it does not know either.
    `allowed` says whether a class of this dotted name may be loaded again.
    """

    def __init__(self, *, dump_foreign: Foreign, allowed: Callable[[str], bool]) -> None:
        self.parts: list[tuple[str, Any]] = []
        self._dump_foreign = dump_foreign
        self._allowed = allowed
        self._within: list[int] = []

    def document(self, value: object) -> dict[str, Any]:
        """The JSON document for a value. Raises EncodingError, which names the type of the offending part."""
        return {TREE: TREE_VERSION, "value": self._node(value)}

    def _node(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is int:
            return value
        if kind is float:
            return value if math.isfinite(value) else {TYPE: "float", "value": repr(value)}
        if id(value) in self._within:
            raise EncodingError(f"it holds a {_classes.class_name(kind)} that holds itself")
        if len(self._within) >= _MAX_DEPTH:
            raise EncodingError(f"it is nested more than {_MAX_DEPTH} deep")
        self._within.append(id(value))
        try:
            return self._composite(value, kind)
        finally:
            self._within.pop()

    def _composite(self, value: Any, kind: type) -> Any:
        if kind is list:
            return [self._node(item) for item in value]
        if kind is dict:
            return self._dict(value)
        if kind in (tuple, set, frozenset):
            return {TYPE: kind.__name__, "items": [self._node(item) for item in value]}
        if kind in (bytes, bytearray):
            return self._bytes(value)
        if kind in (Decimal, UUID, complex, range):
            return _scalar(value)
        if kind is File:
            return self._part("file", value, name=value.name)
        codec = _tables.table_codec(value)
        if codec is not None:
            return self._table(value, codec)
        if kind.__module__.startswith("airflow."):
            return self._foreign(value)
        found = _times.time_node(value) or _classes.instance_node(value, self._node, self._allowed)
        if found is not None:
            return {TYPE: found[0], **found[1]}
        return self._numpy(value) or self._polars_series(value) or self._other(value)

    def _dict(self, value: Mapping[Any, Any]) -> Any:
        if all(type(key) is str and not key.startswith(RESERVED) for key in value):
            return {key: self._node(item) for key, item in value.items()}
        return {TYPE: "dict", "items": [[self._node(key), self._node(item)] for key, item in value.items()]}

    def _bytes(self, value: Any) -> Any:
        if len(value) > _SMALL_BYTES:
            part = self._part("bytes", bytes(value))
            return part if type(value) is bytes else {TYPE: "bytearray", "part": part}
        return {TYPE: type(value).__name__, "base64": base64.b64encode(value).decode()}

    def _part(self, codec: str, content: Any, **members: Any) -> dict[str, Any]:
        self.parts.append((codec, content))
        return {TYPE: "part", "part": len(self.parts) - 1, "codec": codec, **members}

    def _table(self, value: Any, codec: str) -> Any:
        try:
            return self._part(codec, _tables.encode_table(value, codec))
        except _tables.UnfitColumnsError as error:
            unfit = error.positions
        if codec == "parquet-series":
            frame = value.to_frame(name="0")
            return {
                TYPE: "pandas.Series",
                "name": self._node(value.name),
                "frame": self._columnwise(frame, unfit),
            }
        return self._columnwise(value, unfit)

    def _columnwise(self, frame: Any, unfit: list[int]) -> Any:
        """A DataFrame that Parquet would not give back: what it takes as a part, the other columns item by item."""
        import pandas as pd

        labels = frame.columns
        taken = [position for position in range(frame.shape[1]) if position not in unfit]
        rest = frame.iloc[:, taken].copy(deep=False)
        rest.columns = pd.Index([f"c{position}" for position in taken], dtype=object)
        if not taken:
            # Parquet without a column does not even keep how many rows there are.
            rest = rest.assign(rows=0)
        try:
            table = self._part("parquet", _tables.encode_table(rest, "parquet"))
        except _tables.UnfitColumnsError as error:
            if set(error.positions) - set(range(len(taken))) or not error.positions:
                raise EncodingError("it holds a pandas.DataFrame whose index Parquet does not take") from None
            also = [taken[position] for position in error.positions]
            return self._columnwise(frame, sorted({*unfit, *also}))
        return {
            TYPE: "pandas.DataFrame",
            "table": table,
            "labels": [self._node(label) for label in labels.tolist()],
            "label_names": [self._node(name) for name in labels.names],
            "label_dtype": str(labels.dtype) if labels.nlevels == 1 else None,
            "columns": {str(position): self._column(frame.iloc[:, position]) for position in unfit},
        }

    def _column(self, column: Any) -> Any:
        import numpy as np

        if not isinstance(column.dtype, np.dtype):
            raise EncodingError(
                f"it holds a pandas.DataFrame with a column of {column.dtype}, which Parquet does not take"
            )
        return self._node(column.to_numpy())

    def _numpy(self, value: Any) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        if type(value) is numpy.ndarray:
            # Of objects: the others are parts.
            items = [self._node(item) for item in value.ravel().tolist()]
            return {TYPE: "numpy.objects", "shape": list(value.shape), "items": items}
        if isinstance(value, numpy.generic) and not value.dtype.hasobject and value.dtype.names is None:
            text = base64.b64encode(value.tobytes()).decode()
            return {TYPE: "numpy.scalar", "dtype": value.dtype.str, "base64": text, "shown": str(value)[:80]}
        return None

    def _polars_series(self, value: Any) -> Any:
        polars = sys.modules.get("polars")
        if polars is None or type(value) is not polars.Series:
            return None
        frame = self._part("parquet-polars", _tables.encode_table(value.to_frame(), "parquet-polars"))
        return {TYPE: "polars.Series", "frame": frame}

    def _other(self, value: Any) -> Any:
        # A subclass of a built-in container or scalar is worth what it holds, as in Airflow's own JSON.
        for kind in (dict, list, tuple, set, frozenset):
            if isinstance(value, kind):
                return self._composite(kind(value), kind)
        scalars: tuple[Any, ...] = (str, int, float, bytes)
        for scalar in scalars:
            if isinstance(value, scalar):
                return self._node(scalar(value))
        return self._foreign(value)

    def _foreign(self, value: Any) -> Any:
        name = _classes.class_name(type(value))
        try:
            return {TYPE: "airflow", "data": self._dump_foreign(value)}
        except (TypeError, ValueError, AttributeError, RecursionError, NotImplementedError, ImportError):
            # What a library says of a value may quote it.
            raise EncodingError(
                f"it holds a {name}, which neither this backend nor Airflow can store"
            ) from None


def _scalar(value: Any) -> dict[str, Any]:
    if isinstance(value, complex):
        return {TYPE: "complex", "value": [repr(value.real), repr(value.imag)]}
    if isinstance(value, range):
        return {TYPE: "range", "value": [value.start, value.stop, value.step]}
    return {TYPE: type(value).__name__, "value": str(value)}


class TreeDecoder:
    """Reads one value. `part` gives the value of the n-th part, `load_foreign` that of Airflow's own JSON."""

    def __init__(
        self,
        *,
        part: Callable[[int, Mapping[str, Any]], Any],
        load_foreign: Foreign,
        allowed: Callable[[str], bool],
    ) -> None:
        self._part = part
        self._load_foreign = load_foreign
        self._allowed = allowed

    def value(self, document: Mapping[str, Any]) -> Any:
        """The value of a document. Raises ReferenceFormatError for a form or type that this release does not know."""
        if document.get(TREE) != TREE_VERSION:
            raise ReferenceFormatError(
                f"the value is a tree of form {document.get(TREE)!r}, which this xcomctl-backend does not know: upgrade it"
            )
        return self._value(document["value"])

    def _value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._value(item) for item in node]
        if not isinstance(node, dict):
            return node
        if TYPE not in node:
            return {key: self._value(item) for key, item in node.items()}
        kind = node[TYPE]
        if kind == "part":
            return self._part(node["part"], node)
        if kind in _classes.KINDS:
            return _classes.instance_value(kind, node, self._value, self._allowed)
        if kind in _TIMES:
            return _times.time_value(kind, node)
        return self._builtin(kind, node)

    def _builtin(self, kind: str, node: Mapping[str, Any]) -> Any:
        if kind in _ITEMS:
            return _ITEMS[kind](self._value(item) for item in node["items"])
        if kind in _SCALARS:
            return _SCALARS[kind](node["value"])
        if kind == "dict":
            return {self._value(key): self._value(item) for key, item in node["items"]}
        if kind in ("bytes", "bytearray"):
            raw = base64.b64decode(node["base64"]) if "base64" in node else self._value(node["part"])
            return raw if kind == "bytes" else bytearray(raw)
        if kind == "airflow":
            return self._load_foreign(node["data"])
        if kind.startswith(("pandas.", "polars.", "numpy.")):
            return self._of_library(kind, node)
        raise _unknown(kind)

    def _of_library(self, kind: str, node: Mapping[str, Any]) -> Any:
        if kind == "pandas.DataFrame":
            return self._frame(node)
        if kind == "pandas.Series":
            return self._frame(node["frame"]).iloc[:, 0].rename(self._value(node["name"]))
        if kind == "polars.Series":
            return self._value(node["frame"]).to_series()
        if kind in ("numpy.objects", "numpy.scalar"):
            return self._array(kind, node)
        raise _unknown(kind)

    def _array(self, kind: str, node: Mapping[str, Any]) -> Any:
        import numpy as np

        if kind == "numpy.scalar":
            return np.frombuffer(base64.b64decode(node["base64"]), dtype=np.dtype(node["dtype"]))[0]
        array = np.empty(len(node["items"]), dtype=object)
        for position, item in enumerate(node["items"]):
            array[position] = self._value(item)
        return array.reshape(node["shape"])

    def _frame(self, node: Mapping[str, Any]) -> Any:
        import pandas as pd

        if node[TYPE] == "part":
            return self._value(node)
        frame = self._value(node["table"])
        if list(frame.columns) == ["rows"]:
            frame = frame.drop(columns="rows")
        for position, column in sorted(node["columns"].items(), key=lambda item: int(item[0])):
            values = self._value(column)
            frame.insert(
                int(position), f"c{position}", pd.Series(values, index=frame.index, dtype=values.dtype)
            )
        labels = [self._value(label) for label in node["labels"]]
        names = [self._value(name) for name in node["label_names"]]
        if node["label_dtype"] is None:
            frame.columns = pd.MultiIndex.from_tuples(labels, names=names)
        else:
            frame.columns = pd.Index(labels, dtype=node["label_dtype"], name=names[0], tupleize_cols=False)
        return frame


def _unknown(kind: object) -> ReferenceFormatError:
    return ReferenceFormatError(
        f"the value holds a {kind!r}, which this xcomctl-backend does not know: upgrade it"
    )


_ITEMS: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_SCALARS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "Decimal": Decimal,
    "UUID": UUID,
    "complex": lambda parts: complex(*map(float, parts)),
    "range": lambda parts: range(*parts),
}
_TIMES = frozenset(
    {"datetime", "date", "time", "timedelta", "timezone", "zone", "pendulum.DateTime"}
    | {"pandas.Timestamp", "pandas.Timedelta", "pandas.NaT", "pandas.NA"}
)
