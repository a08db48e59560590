"""Fixtures that the conformance suites share."""

from tests.conformance.bench import bench, bench_or_proxy, faulty_bench, seaweed_bench, server_without_faults
from tests.conformance.sources import airflow, source

__all__ = [
    "airflow",
    "bench",
    "bench_or_proxy",
    "faulty_bench",
    "seaweed_bench",
    "server_without_faults",
    "source",
]
