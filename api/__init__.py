"""The thin HTTP service in front of the ranking databases, its workers and its command line."""
