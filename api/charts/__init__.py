"""What trends in a window: the same for everyone, and done the same way for every surface."""
