"""Programs that measure, each against what people would use instead."""
