"""A mutating run of the tool: who may write, what is recorded, what became of those that broke off."""

from xcomctl.state.operation.operation import Extent, Operation, RowsSeen

__all__ = ["Extent", "Operation", "RowsSeen"]
