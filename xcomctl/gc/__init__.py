"""Collection: plan what may go, guard it, apply it, and purge what has waited."""
