"""XCom backend that keeps large values in S3 and a small self-describing reference in the row.

`AIRFLOW__CORE__XCOM_BACKEND=xcomctl_backend.S3XComBackend`. Importing this package imports neither Airflow,
boto3 nor pandas; the class is made when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from xcomctl_backend._files import File

if TYPE_CHECKING:
    from xcomctl_backend.backend import S3XComBackend

__all__ = ["File", "S3XComBackend"]


def __getattr__(name: str) -> Any:
    if name != "S3XComBackend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("airflow.sdk") is None:
        # Airflow 2 resolves its backend while this module of its own is being imported. Importing it before ours
        # makes that happen now, and not when half of our module is there.
        import_module("airflow.models.xcom")
    return import_module("xcomctl_backend.backend").S3XComBackend
