"""Fixtures that the conformance suites share."""

from tests.conformance.bench import bench, direct_bench, faulty_bench, seaweed_bench, server_without_faults
from tests.conformance.sources import airflow, source

__all__ = [
    "airflow",
    "bench",
    "direct_bench",
    "faulty_bench",
    "seaweed_bench",
    "server_without_faults",
    "source",
]
