"""What differs between releases of Airflow, in one place. Written against 2.5 to 3.4."""

from __future__ import annotations

import json
import re
from collections import namedtuple
from fnmatch import fnmatchcase
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from xcomctl_backend import _s3
from xcomctl_backend._codecs import Serialisation
from xcomctl_backend._settings import SECTION, Settings
from xcomctl_backend.errors import SettingError

AIRFLOW_2 = find_spec("airflow.sdk") is None

BaseXCom: Any = import_module("airflow.models.xcom" if AIRFLOW_2 else "airflow.sdk.bases.xcom").BaseXCom

_Holder = namedtuple("_Holder", "value")


def setting(option: str) -> str | None:
    """Text of one option of our section of Airflow's configuration, None if it is not set."""
    text: str | None = _conf().get(SECTION, option, fallback=None)
    return text


def _conf() -> Any:
    return _first("airflow.sdk.configuration", "airflow.configuration").conf


def _dump_foreign(value: Any) -> Any:
    """JSON-ready form of a value in this release's own serialisation. Raises TypeError for what it does not know."""
    if AIRFLOW_2:
        # Not BaseXCom.serialize_value: that writes a pickle if [core] enable_xcom_pickling says so.
        return json.loads(json.dumps(value, cls=import_module("airflow.utils.json").XComEncoder))
    return BaseXCom.serialize_value(value)


def _load_foreign(node: Any) -> Any:
    """Read what `_dump_foreign` wrote, in this or in the other generation of Airflow."""
    if AIRFLOW_2:
        return json.loads(json.dumps(node), cls=import_module("airflow.utils.json").XComDecoder)
    return BaseXCom.deserialize_value(_Holder(node))


def _allowed(dotted: str) -> bool:
    """Whether Airflow's configuration lets a class of this name be loaded from data."""
    conf = _conf()
    globs = (conf.get("core", "allowed_deserialization_classes", fallback=None) or "").split()
    patterns = (conf.get("core", "allowed_deserialization_classes_regexp", fallback=None) or "").split()
    return any(fnmatchcase(dotted, glob) for glob in globs) or any(
        re.fullmatch(pattern, dotted) for pattern in patterns
    )


SERIALISATION = Serialisation(_dump_foreign, _load_foreign, _allowed)


def connect(settings: Settings) -> Any:
    """An S3 client for the settings: of the Airflow connection if the path names one, else of boto3's own chain."""
    if settings.connection_id is None:
        return _s3.default_client(endpoint_url=settings.endpoint_url, region=settings.region)
    try:
        hook_module = import_module("airflow.providers.amazon.aws.hooks.s3")
    except ImportError:
        return _client_of_connection(settings, settings.connection_id)
    hook = hook_module.S3Hook(
        aws_conn_id=settings.connection_id,
        region_name=settings.region,
        # What the connection says of botocore counts.
        config=None
        if _connection(settings.connection_id).extra_dejson.get("config_kwargs")
        else _s3.client_config(),
    )
    if settings.endpoint_url is None:
        return hook.get_conn()
    return _s3.default_client(
        endpoint_url=settings.endpoint_url,
        region=settings.region,
        session=hook.get_session(region_name=settings.region),
        verify=hook.verify,
    )


def _client_of_connection(settings: Settings, connection_id: str) -> Any:
    """The same without the Amazon provider: keys, token, region and endpoint of the connection."""
    import boto3

    connection = _connection(connection_id)
    extra = connection.extra_dejson
    for name in ("role_arn", "profile_name"):
        if extra.get(name):
            raise SettingError(
                f"connection {connection_id!r} uses {name}, which needs the Amazon provider: "
                "pip install apache-airflow-providers-amazon"
            )
    session = boto3.session.Session(
        aws_access_key_id=connection.login or extra.get("aws_access_key_id"),
        aws_secret_access_key=connection.password or extra.get("aws_secret_access_key"),
        aws_session_token=extra.get("aws_session_token"),
    )
    return _s3.default_client(
        endpoint_url=settings.endpoint_url or extra.get("endpoint_url"),
        region=settings.region or extra.get("region_name"),
        session=session,
    )


def _connection(connection_id: str) -> Any:
    return _first("airflow.sdk.bases.hook", "airflow.hooks.base").BaseHook.get_connection(connection_id)


def _first(*names: str) -> Any:
    for name in names[:-1]:
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module(names[-1])
