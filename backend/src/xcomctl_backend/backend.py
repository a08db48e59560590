"""The class that Airflow loads: its hooks on one side, the Exchange on the other."""

from __future__ import annotations

from typing import Any

from xcomctl_backend import _airflow, _settings
from xcomctl_backend._airflow import BaseXCom
from xcomctl_backend._codecs import plain_json
from xcomctl_backend._exchange import Exchange, describe
from xcomctl_backend._reference import Coordinates, Reference, reference_document
from xcomctl_backend._s3 import S3Objects

# Read once, here: a wrong setting stops Airflow when it loads the backend, and not one task after the other.
_SETTINGS = _settings.load(_airflow.setting)
_EXCHANGE = Exchange(
    _SETTINGS,
    S3Objects(lambda: _airflow.connect(_SETTINGS)),
    dump_json=_airflow.dump_json,
    load_json=_airflow.load_json,
)


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
        pushed = _EXCHANGE.push(value, Coordinates(dag_id, run_id, task_id, index, key))
        return _airflow.row_value(plain_json(pushed.to_json()) if isinstance(pushed, Reference) else pushed)

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """The value that a row stands for; the object is fetched if the row is a reference."""
        document = reference_document(result.value)
        return BaseXCom.deserialize_value(result) if document is None else _EXCHANGE.pull(document)

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
