"""Rank items for users: exact top-k over personas, contributions to each score, and explanations in words."""
