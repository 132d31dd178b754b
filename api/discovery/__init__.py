"""Whom to follow: suggested users, and creators to discover."""
