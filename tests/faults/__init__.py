"""The fault suite: real servers behind proxies that misbehave, writers beside, and an oracle that knows what must live."""

import pytest

pytest.register_assert_rewrite(
    "tests.faults.killing", "tests.faults.machine", "tests.faults.oracle", "tests.faults.scene"
)
