"""The parts of the benchmark: each gives its cases one by one, with the servers that they need running."""
