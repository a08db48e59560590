"""The error tree. Every error that a user can meet is one of these, with a one-line cause and a hint to type.

Adapters translate the exceptions of their libraries into this tree at the border; `cli/` alone maps it to
exit codes (`exit_code` is the documented code, so that the mapping lives beside the meaning).
"""

from __future__ import annotations

from typing import ClassVar


class XcomctlError(Exception):
    """Something failed; exit 1.

    `str(error)` is the one-line cause. `hint` says what to type next, or is None where there is nothing to add.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, *, hint: str | None = None) -> None:
        super().__init__(" ".join(cause.split()))
        self.hint = hint


class UsageError(XcomctlError):
    """The command line or the configuration is off; exit 2."""

    exit_code = 2


class NotFoundError(XcomctlError):
    """A reference, an object or a row that was asked for does not exist; exit 1."""


class UnreadableError(XcomctlError):
    """A payload is there but is not what it should be (truncated, corrupt, of no known codec); exit 1."""


class PartialError(XcomctlError):
    """Some of the work was done, some failed; exit 3."""

    exit_code = 3


class RefusedError(XcomctlError):
    """A guard, a stale plan or a lock refused; nothing was done; exit 5."""

    exit_code = 5


class LockedError(RefusedError):
    """Somebody else is at work on the root, and will be done at some time; exit 5."""


class SourceError(XcomctlError):
    """The metadata database is out of reach, or is not understood; exit 6."""

    exit_code = 6


class StoreError(XcomctlError):
    """The object store is out of reach, or denies access; exit 7. Never means that an object is absent."""

    exit_code = 7


class DeclinedError(StoreError):
    """The store is there and does not do this: a right is missing, or it does not know the request; exit 7."""


class DeniedError(DeclinedError):
    """The store does not let these credentials do this; exit 7."""


class ConflictError(StoreError):
    """A write was refused because its condition does not hold: somebody else wrote the object; exit 7."""
