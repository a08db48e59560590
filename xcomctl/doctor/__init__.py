"""The health of a set-up: what is configured, what is found there, and what to do about it. Changes nothing."""

from xcomctl.doctor.context import CheckContext, Setup
from xcomctl.doctor.examination import examine
from xcomctl.doctor.interface import CheckResult, Status

__all__ = ["CheckContext", "CheckResult", "Setup", "Status", "examine"]
