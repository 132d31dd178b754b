"""Videos by words: title, description and hashtags, in any script."""
