"""The policy file, `policy.toml`."""

from xcomctl.policy.file.reading import PolicyFile, load_policy

__all__ = ["PolicyFile", "load_policy"]
