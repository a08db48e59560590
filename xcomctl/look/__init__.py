"""One value: find it, decode it, compare it."""
