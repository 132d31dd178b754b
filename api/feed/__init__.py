"""The posts feed: posts, ranked for a viewer."""
