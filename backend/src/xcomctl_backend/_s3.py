"""Payloads in S3: put, get and delete one object. One client per process, made when it is first needed."""

from __future__ import annotations

import io
import os
import threading
from typing import Any, Callable, Mapping

_MULTIPART_BYTES = 64 << 20
"""From here on an object is sent in parts; one request takes 5 GiB at most."""


class S3Objects:
    """Objects of any bucket, through a client that `connect` makes.

    Safe in threads and after a fork: the child makes a client of its own. Raises botocore's own exceptions, and
    NoSuchObject where the store says that there is no such key.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._clients: dict[int, Any] = {}

    def put(
        self, bucket: str, key: str, payload: bytes, *, content_type: str, metadata: Mapping[str, str]
    ) -> None:
        """Store a payload."""
        extra = {"ContentType": content_type, "Metadata": dict(metadata)}
        if len(payload) < _MULTIPART_BYTES:
            self._client().put_object(Bucket=bucket, Key=key, Body=payload, **extra)
        else:
            self._client().upload_fileobj(io.BytesIO(payload), bucket, key, ExtraArgs=extra)

    def get(self, bucket: str, key: str) -> bytes:
        """The whole payload. Raises NoSuchObject."""
        from botocore.exceptions import ClientError

        try:
            response = self._client().get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                raise NoSuchObject(f"s3://{bucket}/{key}") from None
            raise
        with response["Body"] as body:
            payload: bytes = body.read()
        return payload

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is already gone is no error."""
        self._client().delete_object(Bucket=bucket, Key=key)

    def close(self) -> None:
        """Close the connections of this process; the next call opens new ones."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _client(self) -> Any:
        client = self._clients.get(os.getpid())
        if client is None:
            with self._lock:
                client = self._clients.get(os.getpid())
                if client is None:
                    client = self._clients[os.getpid()] = self._connect()
        return client


class NoSuchObject(LookupError):  # noqa: N818 - named after what the store says
    """The store says that there is no such key."""


def default_client(*, endpoint_url: str | None, region: str | None, session: Any = None) -> Any:
    """An S3 client of boto3's own credential chain, or of `session`."""
    import boto3
    from botocore.config import Config

    # Standard mode backs off and tries again when the store throttles or a connection breaks.
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)
    return (session or boto3.session.Session()).client(
        "s3", endpoint_url=endpoint_url, region_name=region, config=config
    )
