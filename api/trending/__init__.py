"""What videos are made with, and what of it trends: sounds and hashtags."""
