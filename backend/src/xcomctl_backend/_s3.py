"""Payloads in S3: put, get and delete one object. One client per process, made when it is first needed."""

from __future__ import annotations

import io
import os
import threading
from contextlib import closing
from typing import IO, Any, Callable, Mapping

_MULTIPART_BYTES = 64 << 20
"""From here on an object is sent in parts; one request takes 5 GiB at most."""
_CHUNK = 1 << 20
_READ_ATTEMPTS = 4


class S3Objects:
    """Objects of any bucket, through a client that `connect` makes.

    `write_options` and `request_options` go with every write, and with every request, as boto3 names them. Safe in
    threads and after a fork: the child makes a client of its own. Raises botocore's own exceptions, and NoSuchObject
    where the store says that there is no such key.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        write_options: Mapping[str, str] | None = None,
        request_options: Mapping[str, str] | None = None,
    ) -> None:
        self._connect = connect
        self._request_options = dict(request_options or {})
        self._write_options = {**(write_options or {}), **self._request_options}
        self._lock = threading.Lock()
        self._clients: dict[int, Any] = {}

    def put(
        self,
        bucket: str,
        key: str,
        payload: bytes | IO[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str],
    ) -> None:
        """Store a payload: bytes, or a stream from where it stands, which is sent in parts and never held whole."""
        extra = {"ContentType": content_type, "Metadata": dict(metadata), **self._write_options}
        if isinstance(payload, bytes) and len(payload) < _MULTIPART_BYTES:
            self._client().put_object(Bucket=bucket, Key=key, Body=payload, **extra)
            return
        stream = io.BytesIO(payload) if isinstance(payload, bytes) else payload
        self._client().upload_fileobj(stream, bucket, key, ExtraArgs=extra)

    def get(self, bucket: str, key: str) -> bytes:
        """The whole payload. Raises NoSuchObject."""
        payload: bytes = self._read(bucket, key, lambda body: body.read())
        return payload

    def size(self, bucket: str, key: str) -> int:
        """Bytes of the payload, without reading it. Raises NoSuchObject."""
        from botocore.exceptions import ClientError

        try:
            response = self._client().head_object(Bucket=bucket, Key=key, **self._request_options)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "404":
                raise
            # A HEAD has no body that could say what is missing, the key or the bucket.
            response = self._ask(bucket, key)
            response["Body"].close()
        length: int = response["ContentLength"]
        return length

    def fetch(self, bucket: str, key: str, target: IO[bytes]) -> None:
        """Write the payload to `target`, a seekable stream, piece by piece. Raises NoSuchObject."""

        def copy(body: Any) -> None:
            target.seek(0)
            target.truncate()
            for chunk in body.iter_chunks(_CHUNK):
                target.write(chunk)

        self._read(bucket, key, copy)

    def _read(self, bucket: str, key: str, consume: Callable[[Any], Any]) -> Any:
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        for attempt in range(1, _READ_ATTEMPTS + 1):
            response = self._ask(bucket, key)
            try:
                # Not `with body`: that gives the raw stream, which does not notice that it ends too early.
                with closing(response["Body"]) as body:
                    return consume(body)
            except (HTTPClientError, IncompleteReadError):
                # botocore tries a request again, but not the reading of what it answered.
                if attempt == _READ_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _ask(self, bucket: str, key: str) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._client().get_object(Bucket=bucket, Key=key, **self._request_options)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchKey":
                raise NoSuchObject(f"s3://{bucket}/{key}") from None
            raise

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is already gone is no error."""
        self._client().delete_object(Bucket=bucket, Key=key, **self._request_options)

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


def client_config() -> Any:
    """botocore's settings for a client: it backs off and tries again when the store throttles or a connection breaks."""
    from botocore.config import Config

    return Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)


def default_client(
    *, endpoint_url: str | None, region: str | None, session: Any = None, verify: bool | str | None = None
) -> Any:
    """An S3 client of boto3's own credential chain, or of `session`. `verify` is what boto3 means by it."""
    import boto3

    return (session or boto3.session.Session()).client(
        "s3", endpoint_url=endpoint_url, region_name=region, config=client_config(), verify=verify
    )
