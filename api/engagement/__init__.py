"""What viewers do to items and to each other, one request each."""
