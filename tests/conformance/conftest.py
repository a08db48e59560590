"""Fixtures that the conformance suites share."""

from tests.conformance.bench import bench, direct_bench, faulty_bench, seaweed_bench, server_without_faults

__all__ = ["bench", "direct_bench", "faulty_bench", "seaweed_bench", "server_without_faults"]
