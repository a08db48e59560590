"""Where the bytes are, by the tables of a snapshot file: in parts, as they grow, and where that leads."""

from xcomctl.inventory.usage.breakdown import (
    DEPTHS,
    DIMENSIONS,
    Dimension,
    UsagePart,
    UsageParts,
    break_down,
    dimensions,
    total_of,
)
from xcomctl.inventory.usage.growth import LOOKED_BACK, Growth, NewBytes, growth_of, new_bytes

__all__ = [
    "DEPTHS",
    "DIMENSIONS",
    "LOOKED_BACK",
    "Dimension",
    "Growth",
    "NewBytes",
    "UsagePart",
    "UsageParts",
    "break_down",
    "dimensions",
    "growth_of",
    "new_bytes",
    "total_of",
]
