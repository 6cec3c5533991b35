"""Input: files of reviews and item metadata, in several formats, to clean and de-duplicated rows."""
