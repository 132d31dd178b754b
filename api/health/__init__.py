"""Is the service alive, ready, and what is missing."""
