"""The policy file, `policy.toml`."""

from xcomctl.policy.file.reading import PolicyFile, load_policy
from xcomctl.policy.file.values import LEAST_MIN_AGE

__all__ = ["LEAST_MIN_AGE", "PolicyFile", "load_policy"]
