"""Pages of a listing, asked for one by one, each checked. Botocore asks and repeats; our own parser reads the objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from xcomctl.arrow_arrays import text
from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.s3.errors import Request, translate_s3_errors
from xcomctl.s3.interface import object_schema
from xcomctl.s3.listing.concurrency import ConcurrencyTuner

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_s3 import S3Client

_TAKEN = "xcomctl.taken"

# Handlers of a less specific name come first: ours before those of `before-parse.s3.*`, one of which parses the whole
# document to look for an error. It is left with a short one, and whatever is wrong with that is its to say.
_EVENT = "before-parse.*.ListObjectsV2"


def read_fast(client: S3Client) -> None:
    """Let every page that this client is given be read by our own parser where it can be. For listings only."""
    client.meta.events.register(_EVENT, _take_out_rows)


def _take_out_rows(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    from xcomctl.s3.listing import page_parser

    body = response_dict["body"]
    if response_dict["status_code"] == 200 and isinstance(body, bytes):
        taken = page_parser.taken_out(body)
        if taken is not None:
            response_dict["body"], customized_response_dict[_TAKEN] = taken


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the store: objects (of the schema `object_schema()`), folders where they were asked for."""

    objects: pa.RecordBatch
    folders: tuple[str, ...]
    """Whole prefixes, root included, each ending with `/`."""
    token: str | None
    """What asks for the next page; None for the last one."""

    @property
    def keys(self) -> pa.Array:
        """The keys of the objects."""
        return self.objects.column("key")


class Pages:
    """Asks for the pages of one root. May be used from several threads."""

    def __init__(self, client: S3Client, root: Root, request: Request) -> None:
        self.root = root
        self.concurrency = ConcurrencyTuner()
        self._client = client
        self._request = request

    def ask(self, *, token: str | None = None, after: str = "") -> Page:
        """A page of all objects below the root: the one of a token, or the first one behind the key `after`.

        Raises StoreError.
        """
        with self.concurrency.watched():
            return self._page(self.root.prefix, _beginning(token, after))

    def ask_folder(self, prefix: str, *, token: str | None = None, after: str = "") -> Page:
        """A page of what lies directly in the folder `prefix`, objects and names of folders. Raises StoreError."""
        return self._page(prefix, {"Delimiter": "/", **_beginning(token, after)})

    def incomplete(self, why: str) -> NoReturn:
        """Raises StoreError: this listing is not whole."""
        raise StoreError(
            f"incomplete listing of {self.root.uri}: {why}", hint="try again; nothing was changed"
        )

    def _page(self, prefix: str, where: dict[str, str]) -> Page:
        with translate_s3_errors(self._request):
            answer: dict[str, Any] = self._client.list_objects_v2(  # type: ignore[assignment]
                Bucket=self.root.bucket,
                Prefix=prefix,
                **where,  # type: ignore[arg-type]
            )
        # An answer from something else, a proxy's login page for one, has none of the fields.
        if "IsTruncated" not in answer:
            raise StoreError(
                f"incomplete listing of {self.root.uri}: the answer is not a listing",
                hint="check --endpoint-url and the proxy",
            )
        page = Page(
            objects=self._objects(answer),
            folders=_folders(answer),
            token=answer.get("NextContinuationToken") or None if answer["IsTruncated"] else None,
        )
        self._check(page, prefix, answer)
        return page

    def _objects(self, answer: dict[str, Any]) -> pa.RecordBatch:
        import pyarrow as pa

        schema = object_schema()
        taken = answer.get(_TAKEN)
        columns: list[Any]
        if taken is None or taken.rows is None:
            contents = answer.get("Contents", [])
            if not contents:
                return pa.RecordBatch.from_arrays(
                    [pa.nulls(0, field.type) for field in schema], schema=schema
                )
            if any(not item.keys() >= {"Key", "Size", "LastModified"} for item in contents):
                self.incomplete("the store gave an object without its key, size or time")
            columns = [[item[name] for item in contents] for name in ("Key", "Size")]
            columns.append([item.get("ETag", "").strip('"') for item in contents])
            columns.append([item["LastModified"] for item in contents])
        else:
            rows = taken.rows
            columns = [_decoded(rows.keys, answer), rows.sizes, rows.etags, rows.times]
        buckets = pa.repeat(text(self.root.bucket), len(columns[0]))
        return pa.RecordBatch.from_arrays([buckets, *columns], schema=schema)

    def _check(self, page: Page, prefix: str, answer: dict[str, Any]) -> None:
        import pyarrow.compute as pc

        count = page.objects.num_rows
        # Some products count the folders of a page, others do not.
        if answer.get("KeyCount", count) not in (count, count + len(page.folders)):
            self.incomplete(f"a page announced {answer['KeyCount']} objects and held {count}")
        if not (
            pc.all(pc.starts_with(page.keys, prefix), min_count=0).as_py()
            and all(folder.startswith(prefix) for folder in page.folders)
        ):
            self.incomplete("the store gave objects from elsewhere")
        if answer["IsTruncated"] and page.token is None:
            self.incomplete("a page says that there is more, and not where")


def _folders(answer: dict[str, Any]) -> tuple[str, ...]:
    taken = answer.get(_TAKEN)
    if taken is None or taken.folders is None:
        return tuple(item["Prefix"] for item in answer.get("CommonPrefixes", ()))
    return tuple(_decoded(taken.folders, answer).to_pylist())


def _decoded(names: pa.Array, answer: dict[str, Any]) -> pa.Array:
    from xcomctl.s3.listing import page_parser

    return page_parser.decoded(names) if answer.get("EncodingType") == "url" else names


def _beginning(token: str | None, after: str) -> dict[str, str]:
    if token is not None:
        return {"ContinuationToken": token}
    return {"StartAfter": after} if after else {}


class History:
    """Notices where a listing goes in circles, by fingerprints of tokens and first keys: some bytes for each page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._seen: set[int] = set()

    def add(self, page: Page) -> None:
        """Note one more page. Raises StoreError where it was there before."""
        first = page.keys[0].as_py() if page.objects.num_rows else page.folders[0] if page.folders else None
        if first is not None and self._repeated(("first", first)):
            self._pages.incomplete("the store gave the same page twice")
        if page.token is not None and self._repeated(("token", page.token)):
            self._pages.incomplete("the store gave the same page marker twice")

    def _repeated(self, marker: tuple[str, str]) -> bool:
        fingerprint = hash(marker)
        repeated = fingerprint in self._seen
        self._seen.add(fingerprint)
        return repeated
