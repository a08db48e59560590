"""The object store, on botocore: AWS S3 and what speaks its protocol. Credentials come from its own chain, as boto3's do.

What boto3 adds to it is not needed here, and takes a tenth of a second to start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, cast

import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from xcomctl import __version__
from xcomctl.errors import DeniedError, NotFoundError, StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.bucket_settings import bucket_settings
from xcomctl.s3.copy import Copier, failed, info_of
from xcomctl.s3.delete import Deleter, add_content_md5, as_judged
from xcomctl.s3.errors import (
    ABSENT_CODES,
    Request,
    code_of,
    label,
    missing_bucket,
    set_up_error,
    translate_s3_errors,
)
from xcomctl.s3.interface import (
    BucketSettings,
    Capabilities,
    Copy,
    CopyOutcome,
    DeleteOutcome,
    Description,
    Download,
    ObjectInfo,
    ObjectVersion,
    StoreErrorInfo,
    StoreRight,
)
from xcomctl.s3.listing.listing import list_batches, list_folders, list_loose
from xcomctl.s3.listing.pages import read_fast
from xcomctl.s3.parallel import FAR_THREADS, in_parallel
from xcomctl.s3.probe import probe
from xcomctl.s3.rights import rights_below
from xcomctl.s3.transfer import Uploader, opened
from xcomctl.s3.upload_requests import UploadRequests
from xcomctl.s3.uploads import AbortOutcome, Upload
from xcomctl.s3.versions import versioning_of, versions_of
from xcomctl.s3.write import Writer

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=FAR_THREADS,
    # Botocore puts its own user agent together anew for each request: a tenth of what a HEAD takes.
    user_agent=f"xcomctl/{__version__} Botocore/{botocore.__version__}",
)


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Which store: None leaves a setting to botocore's own chain (environment, `~/.aws`, instance metadata)."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None


class S3Store:
    """An S3 store (`s3.interface.Store`). Connects at first use; may be used from several threads."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._session: botocore.session.Session | None = None
        self._connected: S3Client | None = None
        self._listing: S3Client | None = None
        self._known_buckets: set[str] = set()
        self._probing = Lock()
        self._capabilities: dict[str, Capabilities] = {}
        self._keeps_versions: dict[str, bool] = {}

    @property
    def closed(self) -> bool:
        """Whether no connection is held: before the first use, and after `close`."""
        return self._session is None

    def close(self) -> None:
        """Release all connections. The store may be used again afterwards."""
        with self._lock:
            clients = (self._connected, self._listing)
            self._session = self._connected = self._listing = None
        for client in clients:
            if client is not None:
                client.close()

    def now(self, bucket: str) -> datetime:
        """The store's own clock, aware UTC, to the second. Raises StoreError, also where the bucket does not exist."""
        headers = self._head_bucket(bucket)
        try:
            return parsedate_to_datetime(headers["date"]).astimezone(timezone.utc)
        except (KeyError, ValueError, TypeError):
            raise StoreError(
                f"{self._endpoint()} does not tell its time",
                hint="check --endpoint-url, and the proxy before it",
            ) from None

    def batches(self, root: Root, *, in_order: bool = False) -> Iterator[pa.RecordBatch]:
        """Every object below `root`, in batches of the schema `object_schema()`. Raises StoreError."""
        request = self._request("s3:ListBucket", root.bucket)
        return list_batches(self._lister(), root, request, in_order=in_order)

    def folders(self, root: Root) -> list[str]:
        """Names of the folders directly below `root`, each ending with `/`, in the order of the store. Raises StoreError."""
        return list_folders(self._lister(), root, self._request("s3:ListBucket", root.bucket))

    def loose(self, root: Root) -> Iterator[pa.RecordBatch]:
        """Every object directly below `root`, in none of its folders, in batches as those of `batches`."""
        return list_loose(self._lister(), root, self._request("s3:ListBucket", root.bucket))

    def stat(self, address: ObjectAddress) -> ObjectInfo | None:
        """Describe one object; None only if the store says that there is no such key. Raises StoreError."""
        head = self._head(address)
        return None if head is None else info_of(address, head)

    def stat_many(self, addresses: Sequence[ObjectAddress]) -> list[ObjectInfo | StoreErrorInfo | None]:
        """`stat` of many objects in parallel, in order; an object that cannot be asked for is a StoreErrorInfo."""
        return in_parallel(
            self.stat,
            addresses,
            lambda _, error: StoreErrorInfo(str(error), error.hint, isinstance(error, DeniedError)),
            more_if_far=True,
        )

    def read(self, address: ObjectAddress, start: int = 0, length: int | None = None) -> bytes:
        """Bytes `start` to `start + length` of an object (to its end if None), fewer where it ends before.

        Raises NotFoundError, StoreError.
        """
        if length is not None and length <= 0:
            return b""
        client = self._client()
        with translate_s3_errors(self._request("s3:GetObject", address.bucket, address.key)):
            if start == 0 and length is None:
                answer = client.get_object(Bucket=address.bucket, Key=address.key)
            else:
                last = "" if length is None else str(start + length - 1)
                try:
                    answer = client.get_object(
                        Bucket=address.bucket, Key=address.key, Range=f"bytes={start}-{last}"
                    )
                except ClientError as error:
                    if code_of(error) in ("InvalidRange", "416"):
                        return b""
                    raise
            with closing(answer["Body"]) as body:
                if start and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                    raise StoreError(
                        f"{self._endpoint()} gives whole objects only, not parts of them",
                        hint="check --endpoint-url, and the proxy before it",
                    )
                return body.read() if length is None else body.read()[:length]

    def stream(self, address: ObjectAddress, chunk_size: int = 1 << 20) -> Iterator[bytes]:
        """The whole payload, in chunks of `chunk_size` bytes. Raises NotFoundError, StoreError."""
        client = self._client()
        with (
            translate_s3_errors(self._request("s3:GetObject", address.bucket, address.key)),
            closing(client.get_object(Bucket=address.bucket, Key=address.key)["Body"]) as body,
        ):
            yield from body.iter_chunks(chunk_size)

    def delete(self, objects: Sequence[ObjectInfo]) -> list[DeleteOutcome]:
        """Delete objects that are still as described (etag, size and modification time), one outcome each, in order.

        Every object is asked for again, and the store is given the etag as a condition where it knows conditions.
        """
        outcomes: dict[ObjectAddress, DeleteOutcome] = {}
        confirmed: dict[str, dict[ObjectAddress, ObjectInfo]] = defaultdict(dict)
        found = self.stat_many([item.address for item in objects])
        for wanted, now in zip(objects, found, strict=True):
            outcome = as_judged(wanted, now)
            if outcome is None:
                confirmed[wanted.address.bucket][wanted.address] = wanted
            else:
                outcomes[wanted.address] = outcome
        for bucket, items in confirmed.items():
            outcomes.update(self._deleter("s3:DeleteObject", bucket).delete(list(items.values())))
        return [outcomes[item.address] for item in objects]

    def capabilities(self, root: Root) -> Capabilities:
        """Probe the bucket of `root`, once in the life of the store. Raises StoreError."""
        with self._probing:
            if root.bucket not in self._capabilities:
                request = self._request("s3:ListBucketVersions", root.bucket)
                self._capabilities[root.bucket] = probe(self._client(), root, request)
            return self._capabilities[root.bucket]

    def put(
        self, address: ObjectAddress, body: bytes, *, if_absent: bool = False, if_etag: str | None = None
    ) -> ObjectInfo:
        """Write a small object whole, and describe it. Raises ConflictError, StoreError."""
        known = self._capabilities.get(address.bucket)
        writer = Writer(
            self._client(),
            self,
            self._request("s3:PutObject", address.bucket, address.key),
            proven=known is not None and known.conditional_put,
        )
        return writer.put(address, body, if_absent=if_absent, if_etag=if_etag)

    def download(self, address: ObjectAddress) -> AbstractContextManager[Download]:
        """Open an object: description and content from one answer. Raises NotFoundError, StoreError."""
        return opened(self._client(), address, self._endpoint())

    def upload(
        self,
        address: ObjectAddress,
        body: BinaryIO,
        size: int,
        description: Description,
        *,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write `size` bytes of a file, of any size, and describe the object. Raises ConflictError, StoreError."""
        known = self._capabilities.get(address.bucket)
        proven = known is not None and known.conditional_put
        uploader = Uploader(self._client(), self, self._endpoint(), proven=proven)
        return uploader.upload(address, body, size, description, if_absent=if_absent)

    def copy(self, copies: Sequence[Copy]) -> list[CopyOutcome]:
        """Copy objects inside the store, in parallel, of any size; one outcome each, in order."""
        return in_parallel(Copier(self._client(), self._head, self._endpoint()).copy, copies, failed)

    def versions(self, address: ObjectAddress) -> list[ObjectVersion]:
        """All versions and delete markers of one key, newest first; empty where the bucket keeps none.

        Raises StoreError.
        """
        bucket = address.bucket
        if bucket not in self._keeps_versions:
            said = versioning_of(self._client(), self._request("s3:GetBucketVersioning", bucket))
            # Who may not ask is shown what there is.
            self._keeps_versions[bucket] = said != "off"
        if not self._keeps_versions[bucket]:
            return []
        return versions_of(
            self._client(), address, self._request("s3:ListBucketVersions", bucket, address.key)
        )

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> list[DeleteOutcome]:
        """Remove just these versions or markers for good, one outcome each, in order."""
        by_bucket: dict[str, list[ObjectVersion]] = defaultdict(list)
        for version in versions:
            by_bucket[version.address.bucket].append(version)
        outcomes: dict[ObjectVersion, DeleteOutcome] = {}
        for bucket, items in by_bucket.items():
            deleter = self._deleter("s3:DeleteObjectVersion", bucket)
            outcomes.update(zip(items, deleter.delete_versions(items), strict=True))
        return [outcomes[version] for version in versions]

    def uploads(self, root: Root) -> Iterator[list[Upload]]:
        """Every unfinished upload below `root`, page by page. Raises DeclinedError, StoreError."""
        return UploadRequests(self._client(), self._endpoint()).pages(root)

    def weigh_uploads(self, uploads: Sequence[Upload]) -> list[Upload | None]:
        """The same with the bytes of their parts; None where there is no such upload."""
        return UploadRequests(self._client(), self._endpoint()).weigh(uploads)

    def abort_uploads(self, uploads: Sequence[Upload]) -> list[AbortOutcome]:
        """Abort uploads, in parallel; one outcome each, in order."""
        return UploadRequests(self._client(), self._endpoint()).abort(uploads)

    def settings(self, bucket: str) -> BucketSettings:
        """What the bucket does by itself. Raises StoreError where it is out of reach."""
        return bucket_settings(self._client(), self._request("s3:GetBucketVersioning", bucket))

    def rights(self, root: Root) -> list[StoreRight]:
        """What may be done below a root, as far as that can be told without a trace. Raises StoreError."""
        return rights_below(self._client(), root, self._request("s3:ListBucket", root.bucket))

    def _deleter(self, right: str, bucket: str) -> Deleter:
        return Deleter(self._client(), self._request(right, bucket), self._capabilities.get(bucket))

    def _head(self, address: ObjectAddress) -> HeadObjectOutputTypeDef | None:
        """Headers of an object; None only if the store says that there is no such key. Raises StoreError."""
        client = self._client()
        with translate_s3_errors(self._request("s3:GetObject", address.bucket, address.key)):
            try:
                head = client.head_object(Bucket=address.bucket, Key=address.key)
            except ClientError as error:
                if code_of(error) not in ABSENT_CODES:
                    raise
                head = None
        # A HEAD has no body that could say what is missing, the object or its bucket.
        if head is None and address.bucket not in self._known_buckets:
            self._head_bucket(address.bucket)
        self._known_buckets.add(address.bucket)
        return head

    def _head_bucket(self, bucket: str) -> dict[str, str]:
        """Headers of the answer to a HEAD of the bucket. Raises StoreError, also where the bucket does not exist."""
        client, request = self._client(), self._request("s3:ListBucket", bucket)
        try:
            with translate_s3_errors(request):
                answer = client.head_bucket(Bucket=bucket)
        except NotFoundError as error:
            raise missing_bucket(request) from error
        self._known_buckets.add(bucket)
        return answer["ResponseMetadata"]["HTTPHeaders"]

    def _client(self) -> S3Client:
        with self._lock:
            if self._connected is None:
                self._connected = self._new_client()
                self._connected.meta.events.register("before-call.s3.DeleteObjects", add_content_md5)
            return self._connected

    def _lister(self) -> S3Client:
        """A client of its own for listings, whose pages are not what botocore makes of them."""
        with self._lock:
            if self._listing is None:
                self._listing = self._new_client()
                read_fast(self._listing)
            return self._listing

    def _new_client(self) -> S3Client:
        settings = self._settings
        try:
            if self._session is None:
                self._session = botocore.session.Session(profile=settings.profile)
            client = self._session.create_client(
                "s3", region_name=settings.region, endpoint_url=settings.endpoint_url, config=_CONFIG
            )
            return cast("S3Client", client)
        except (BotoCoreError, ValueError) as error:
            raise set_up_error(error, settings.endpoint_url) from error

    def _endpoint(self) -> str:
        return label(self._client().meta.endpoint_url)

    def _request(self, right: str, bucket: str, key: str | None = None) -> Request:
        return Request(right, self._endpoint(), bucket, key)
