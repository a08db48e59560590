"""Previews of payloads: what a value looks like, without running any of it."""
