"""Listing a bucket in parallel."""
