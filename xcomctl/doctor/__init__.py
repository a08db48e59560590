"""The health of a set-up: what is configured, what is found there, and what to do about it. Changes nothing."""

from xcomctl.doctor.examination import examine
from xcomctl.doctor.interface import Diagnosis, Status
from xcomctl.doctor.patient import Patient

__all__ = ["Diagnosis", "Patient", "Status", "examine"]
