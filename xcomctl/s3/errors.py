"""What botocore and the store say when something goes wrong, in the words of our error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from xcomctl.errors import DeniedError, NotFoundError, StoreError, UsageError, XcomctlError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ABSENT_CODES = frozenset({"NoSuchKey", "NotFound", "404"})
"""Codes for "there is no such object"; HEAD has no body, so that it says only 404, also of a missing bucket."""

TRANSIENT_CODES = frozenset(
    {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted"}
)
"""Codes after which the same request may well succeed."""

_UNKNOWING_CODES = frozenset(
    {"NotImplemented", "MalformedXML", "InvalidRequest", "InvalidArgument", "MethodNotAllowed"}
)

_DENIED_CODES = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "403"})
_WRONG_KEYS_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity", "401", "Unauthorized"}
)
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"})
_REGION_CODES = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "301", "307", "TemporaryRedirect"}
)

_BUCKET_RIGHTS = frozenset(
    {
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:ListBucketMultipartUploads",
        "s3:GetBucketVersioning",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
    }
)
"""Rights that are granted on a bucket; all others are on objects."""

_NO_CREDENTIALS_HINT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile with --aws-profile"
)
_CREDENTIALS_HINT = (
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile with --aws-profile"
)
_ENDPOINT_HINT = "check the network and --endpoint-url"


class UnreachableError(StoreError):
    """No request to this store can succeed now: no connection, no credentials. Asking for more objects is no use."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of the store: enough to say which right was missing, and where."""

    right: str
    """The permission that the request needs, in the words of AWS: `s3:GetObject`."""
    endpoint: str
    bucket: str
    key: str | None = None

    @property
    def uri(self) -> str:
        """What it was about: `s3://bucket[/key]`."""
        return f"s3://{self.bucket}" if self.key is None else f"s3://{self.bucket}/{self.key}"

    @property
    def resource(self) -> str:
        """What the right must be granted on."""
        return (
            f"arn:aws:s3:::{self.bucket}" if self.right in _BUCKET_RIGHTS else f"arn:aws:s3:::{self.bucket}/*"
        )


def label(endpoint_url: str) -> str:
    """An endpoint's URL for people: without user and password."""
    parts = urlsplit(endpoint_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def code_of(error: boto.ClientError) -> str:
    """The store's code for an error: `NoSuchKey`, or the HTTP status where the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", "")) or str(status_of(error))


def status_of(error: boto.ClientError) -> int:
    """HTTP status of an error, 0 if unknown."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def knows_not(error: boto.ClientError) -> bool:
    """Whether the store says that it does not know this kind of request, or a condition in it."""
    return code_of(error) in _UNKNOWING_CODES or status_of(error) in (405, 501)


def is_denied(error: boto.ClientError) -> bool:
    """Whether the store knows the request and does not let us make it."""
    return code_of(error) in _DENIED_CODES or status_of(error) == 403


def was_repeated(error: boto.ClientError) -> bool:
    """Whether botocore asked more than once: an earlier request may have been carried out, and its answer lost."""
    return int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0


def parameters_of(client: S3Client, operation: str) -> frozenset[str]:
    """What this release of botocore can send with an operation: older ones refuse parameters that they do not know."""
    return frozenset(client.meta.service_model.operation_model(operation).input_shape.members)  # type: ignore[union-attr]


@contextmanager
def translate_s3_errors(request: Request) -> Iterator[None]:
    """Turn what botocore raises inside the block into the error of our tree that says the same, with what to do about it.

    Raises NotFoundError for a missing object, UsageError for an impossible address, else StoreError.
    """
    try:
        yield
    except boto.ClientError as error:
        raise _of_answer(error, request) from error
    except (boto.BotoCoreError, ResponseParserError) as error:
        raise _of_client(error, request) from error
    except RecursionError as error:
        # botocore looks for the bucket's region where it is redirected, and follows that redirect in the same way.
        raise UnreachableError(
            f"{request.endpoint} redirects every request",
            hint="check --endpoint-url: https instead of http, the region",
        ) from error


def set_up_error(error: Exception, endpoint_url: str | None) -> XcomctlError:
    """Why no client could be made: profile, endpoint or region are not what they should be."""
    if isinstance(error, boto.ProfileNotFound):
        return UsageError(str(error), hint="aws configure list-profiles shows the profiles there are")
    if endpoint_url is not None and isinstance(error, ValueError):
        return UsageError(
            f"{label(endpoint_url)!r} is not an endpoint",
            hint="write --endpoint-url http://host:port or https://host",
        )
    return UsageError(
        f"the S3 settings are not usable: {error}", hint="check --endpoint-url, --region, --aws-profile"
    )


def _of_answer(error: boto.ClientError, request: Request) -> XcomctlError:
    code, status = code_of(error), status_of(error)
    details: dict[str, Any] = dict(error.response.get("Error", {}))
    if code == "NoSuchBucket":
        return missing_bucket(request)
    if code in ABSENT_CODES:
        return NotFoundError(f"{request.uri} does not exist")
    if code in _EXPIRED_CODES:
        return UnreachableError(
            f"the credentials for {request.endpoint} have expired",
            hint="sign in again (aws sso login, or new AWS_SESSION_TOKEN), then run the command again",
        )
    if code in _WRONG_KEYS_CODES:
        return UnreachableError(
            f"{request.endpoint} does not accept the credentials ({code})", hint=_CREDENTIALS_HINT
        )
    if code == "RequestTimeTooSkewed":
        return UnreachableError(
            "the clock of this machine is too far off for the store", hint="set the clock"
        )
    if code == "InvalidObjectState":
        return StoreError(
            f"{request.uri} is in an archive storage class",
            hint="restore it in the store first (aws s3api restore-object)",
        )
    if code in _DENIED_CODES or status == 403:
        return DeniedError(
            f"access to {request.uri} at {request.endpoint} is denied",
            hint=f"grant {request.right} on {request.resource}, or choose other credentials with --aws-profile",
        )
    if code in _REGION_CODES:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = details.get("Region") or headers.get("x-amz-bucket-region")
        return StoreError(
            f"the bucket {request.bucket!r} is in another region" + (f", {region}" if region else ""),
            hint=f"add --region {region or 'REGION'}",
        )
    said = f"{code}: {details['Message']}" if details.get("Message") else code
    if code in TRANSIENT_CODES or status >= 500:
        return StoreError(f"{request.endpoint} failed on {request.uri} ({said})", hint="try again in a while")
    return StoreError(
        f"{request.endpoint} refused {request.right} on {request.uri} ({said})", hint=_ENDPOINT_HINT
    )


def _of_client(error: Exception, request: Request) -> XcomctlError:
    if isinstance(
        error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
    ):
        return UnreachableError(f"there are no credentials for {request.endpoint}", hint=_NO_CREDENTIALS_HINT)
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)):
        return UnreachableError(
            "the sign-in of this profile has expired", hint="sign in again: aws sso login"
        )
    if isinstance(error, boto.ParamValidationError):
        return UsageError(f"{request.uri} is not a possible S3 address", hint="write s3://bucket/prefix")
    if isinstance(error, boto.SSLError):
        return UnreachableError(
            f"no trusted connection to {request.endpoint}", hint="check --endpoint-url, or set AWS_CA_BUNDLE"
        )
    if isinstance(error, boto.ReadTimeoutError):
        return StoreError(f"{request.endpoint} took too long over {request.uri}", hint="try again in a while")
    if isinstance(error, (boto.ResponseStreamingError, boto.IncompleteReadError, boto.ConnectionClosedError)):
        return StoreError(f"the connection to {request.endpoint} broke over {request.uri}", hint="try again")
    if isinstance(error, boto.FlexibleChecksumError):
        return StoreError(f"what arrived of {request.uri} does not match its checksum", hint="try again")
    if isinstance(error, (boto.ConnectionError, boto.HTTPClientError)):
        return UnreachableError(f"{request.endpoint} does not answer", hint=_ENDPOINT_HINT)
    if isinstance(error, ResponseParserError):
        return StoreError(
            f"{request.endpoint} does not answer as an S3 store does", hint="check --endpoint-url"
        )
    return StoreError(f"{request.right} on {request.uri} failed: {error}", hint=_ENDPOINT_HINT)


def missing_bucket(request: Request) -> StoreError:
    """The bucket does not exist, at the endpoint that was asked."""
    return StoreError(
        f"the bucket {request.bucket!r} does not exist at {request.endpoint}",
        hint="check --store, and --endpoint-url if the store is not AWS",
    )
