"""Live counters of items: in Redis for speed, from Postgres whenever Redis does not know."""
