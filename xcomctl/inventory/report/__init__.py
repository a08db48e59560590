"""A page about an inventory for people who would rather look than read: one HTML file that needs nothing else."""

from xcomctl.inventory.report.figures import Figures, read_figures
from xcomctl.inventory.report.page import render_page, require_libraries, require_replaceable, save

__all__ = ["Figures", "read_figures", "render_page", "require_libraries", "require_replaceable", "save"]
