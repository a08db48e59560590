"""What changed from one XCom to another: columns, rows and cells of tables, paths of dicts and lists, lines of text."""

from xcomctl.look.difference.comparison import compare, earlier, in_run
from xcomctl.look.difference.model import Change, ColumnChange, Comparison, Difference, DiffSide

__all__ = ["Change", "ColumnChange", "Comparison", "DiffSide", "Difference", "compare", "earlier", "in_run"]
