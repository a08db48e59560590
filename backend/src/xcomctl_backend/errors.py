"""Errors that the backend raises inside a task. Messages are one line and never hold a value or a credential."""

from __future__ import annotations


class XComBackendError(Exception):
    """Base of all errors of this package."""


class SettingError(XComBackendError, ValueError):
    """A setting is missing or wrong. The message names the setting and its environment variable."""


class ReferenceFormatError(XComBackendError, ValueError):
    """A row holds a reference that this release cannot read."""


class EncodingError(XComBackendError, TypeError):
    """A value cannot be stored. The message names the type of the offending part."""


class MissingObjectError(XComBackendError, LookupError):
    """A row's object is gone. The message names the XCom, the object and the command that says why."""


class CorruptObjectError(XComBackendError):
    """A row's object is not what was written: its size or its checksum differs."""
