"""Measurements anyone can repeat; figures end up in `docs/performance.md`."""
