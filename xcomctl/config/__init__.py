"""Settings with their origin, and the parts that they configure."""
