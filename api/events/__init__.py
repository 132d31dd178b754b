"""Batches of events as clients report them."""
