"""Execute a plan, inside an operation: what is needed comes back, rows go, then objects, and all is looked at again."""

from xcomctl.gc.apply.execution import apply_plan
from xcomctl.gc.apply.outcome import Outcome
from xcomctl.gc.apply.purging import purge_unreferenced
from xcomctl.gc.apply.references import RowReading, still_referenced

__all__ = ["Outcome", "RowReading", "apply_plan", "purge_unreferenced", "still_referenced"]
