"""The class that Airflow loads: its hooks on one side, the Exchange on the other."""

from __future__ import annotations

from typing import Any, Callable

from xcomctl_backend import _airflow, _settings
from xcomctl_backend._airflow import BaseXCom
from xcomctl_backend._codecs import compact_json
from xcomctl_backend._exchange import Exchange, describe
from xcomctl_backend._reference import Coordinates, Reference, marked_document, reference_document
from xcomctl_backend._s3 import S3Objects
from xcomctl_backend._tree import TREE

# Read once, here: a wrong setting stops Airflow when it loads the backend, and not one task after the other.
_SETTINGS = _settings.load(_airflow.setting)
_EXCHANGE = Exchange(
    _SETTINGS,
    S3Objects(
        lambda: _airflow.connect(_SETTINGS),
        write_options=_SETTINGS.write_options,
        request_options=_SETTINGS.request_options,
    ),
    serialisation=_airflow.SERIALISATION,
)


def _store(value: Any, coordinates: Coordinates) -> Any:
    pushed = _EXCHANGE.push(value, coordinates)
    if isinstance(pushed, Reference):
        document = pushed.to_json()
        return compact_json(document) if _airflow.AIRFLOW_2 else document
    # The value column takes bytes of JSON in Airflow 2, and what they decode to in Airflow 3.
    return pushed.json if _airflow.AIRFLOW_2 else pushed.decoded


def _load(stored: Any, otherwise: Callable[[], Any]) -> Any:
    """The value of a row; `otherwise` reads one that this backend did not mark."""
    document = reference_document(stored)
    if document is not None:
        return _EXCHANGE.pull(document)
    tree = marked_document(stored, TREE)
    return _EXCHANGE.inline(otherwise() if tree is None else tree)


class Description(str):
    """What the web interface of Airflow 2 shows of an offloaded value; `document` is the reference itself."""

    document: dict[str, Any]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Description:
        """Describe a reference."""
        description = cls(describe(document))
        description.document = document
        return description


class S3XComBackend(BaseXCom):  # type: ignore[misc] # Airflow is not there when types are checked
    """Keeps small values in the row and the others in S3, as `docs/reference-format.md` of xcomctl says."""

    @staticmethod
    def serialize_value(
        value: Any,
        *,
        key: str | None = None,
        task_id: str | None = None,
        dag_id: str | None = None,
        run_id: str | None = None,
        map_index: int | None = None,
    ) -> Any:
        """What the row holds for a value: its JSON, or a reference to the object that was just stored."""
        index = -1 if map_index is None else map_index
        return _store(value, Coordinates(dag_id, run_id, task_id, index, key))

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """The value that a row stands for; the object is fetched if the row is a reference."""
        return _load(result.value, lambda: BaseXCom.deserialize_value(result))

    if hasattr(BaseXCom, "store_value"):
        # Airflow 3.4 prefers these two, and without them refuses DAGs with loops.

        @classmethod
        def store_value(cls, coordinate: Any, key: str, value: Any) -> Any:
            """What the row holds for a value of a task instance, each iteration of a loop being one of its own."""
            at = coordinate.region_index
            index = at if isinstance(at, int) and at >= 0 else -1
            where = Coordinates(coordinate.dag_id, coordinate.run_id, coordinate.task_id, index, key)
            return _store(value, where)

        @classmethod
        def load_value(cls, stored: Any) -> Any:
            """The value that a row stands for."""
            return _load(stored, lambda: BaseXCom.load_value(stored))

    if _airflow.AIRFLOW_2:

        def orm_deserialize_value(self) -> Any:
            """What the web interface shows of a row; never fetches the object."""
            document = reference_document(self.value)
            return BaseXCom.orm_deserialize_value(self) if document is None else Description.of(document)

    @staticmethod
    def purge(xcom: Any, *_args: Any, **_kwargs: Any) -> None:
        """Delete the object of a row that Airflow (2.9 and later) is about to delete."""
        stored = xcom.value
        document = stored.document if isinstance(stored, Description) else reference_document(stored)
        if document is not None:
            names = ("dag_id", "run_id", "task_id", "map_index", "key")
            _EXCHANGE.purge(document, {name: getattr(xcom, name, None) for name in names})
