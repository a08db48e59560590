"""A page about an inventory for people who would rather look than read: one HTML file that needs nothing else."""

from xcomctl.report.figures import Figures, read_figures
from xcomctl.report.page import render_page, require_libraries
from xcomctl.report.saving import require_replaceable, save

__all__ = ["Figures", "read_figures", "render_page", "require_libraries", "require_replaceable", "save"]
