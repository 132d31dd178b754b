"""The reels feed: short videos, ranked for a viewer."""
