"""What earlier backends left in rows: `xcom_s3://` references of home-made ones, paths of Airflow's own.

Only what the `legacy_*` settings name is resolved; any other text is the value that it is.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
from dataclasses import dataclass
from typing import Any, Callable

from xcomctl_backend._codecs import Serialisation
from xcomctl_backend._settings import SECTION, Settings
from xcomctl_backend.errors import ReferenceFormatError

_XCOM_S3 = "xcom_s3://"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_COMMON_IO = re.compile(
    r"[^/]+/[^/]+/[^/]+/(?:" + _UUID + r"|(?:ti|write)-" + _UUID + r"/[^/]+\.json)(?P<packed>\.[a-z0-9]+)?"
)
_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}


@dataclass(frozen=True)
class LegacyReference:
    """An object that a row of an earlier backend names. `packed` is the suffix of a compression, or ''."""

    bucket: str
    key: str
    common_io: bool
    packed: str = ""

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def legacy_reference(text: object, settings: Settings) -> LegacyReference | None:
    """What a row's text refers to, None if it is no reference of the backends that the settings name."""
    if type(text) is not str:
        return None
    if text.startswith(_XCOM_S3) and settings.legacy_xcom_s3:
        rest = text[len(_XCOM_S3) :]
        first, _slash, key = rest.partition("/")
        if key and first in settings.legacy_xcom_s3:
            return LegacyReference(first, key, common_io=False)
        return LegacyReference(settings.legacy_xcom_s3[0], rest, common_io=False) if rest else None
    if not text.startswith("s3://") or not settings.legacy_common_io:
        return None
    bucket, _slash, key = text[len("s3://") :].partition("/")
    bucket = bucket.rpartition("@")[2]
    for root, prefix in settings.legacy_common_io:
        start = f"{prefix}/" if prefix else ""
        match = _COMMON_IO.fullmatch(key[len(start) :]) if key.startswith(start) and root == bucket else None
        if match is not None:
            return LegacyReference(bucket, key, common_io=True, packed=match["packed"] or "")
    return None


def decode_legacy(
    reference: LegacyReference, payload: bytes, *, pickles: bool, serialisation: Serialisation
) -> Any:
    """The value of an object, by its content. Raises ReferenceFormatError for a pickle that the settings do not allow."""
    if reference.packed:
        if reference.packed not in _UNPACK:
            raise ReferenceFormatError(
                f"{reference.uri} is compressed in a way that is not read here: {reference.packed}"
            )
        payload = _UNPACK[reference.packed](payload)
    if reference.common_io:
        return serialisation.load_foreign(json.loads(payload))
    if payload[:1] == b"\x80":
        return _unpickled(reference, payload, pickles)
    if payload[:4] == b"PAR1":
        import pandas as pd

        return pd.read_parquet(io.BytesIO(payload))
    if not re.search(r"(?:^|[/_])data_csv_|\.csv$", reference.key):
        try:
            return serialisation.load_foreign(json.loads(payload))
        except ValueError:
            pass
    import pandas as pd

    return pd.read_csv(io.BytesIO(payload))


def _unpickled(reference: LegacyReference, payload: bytes, allowed: bool) -> Any:
    if not allowed:
        raise ReferenceFormatError(
            f"{reference.uri} is a pickle, and loading one can run any code that is in it. If nobody but your own tasks "
            f"can write to that bucket, set [{SECTION}] legacy_pickles = True"
        )
    import pickle

    return pickle.loads(payload)  # noqa: S301 - behind a setting of its own
