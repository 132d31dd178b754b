"""Ranked snapshots and walks through them; the same for every surface that pages a ranking."""
