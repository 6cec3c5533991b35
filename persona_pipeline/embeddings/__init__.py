"""Embed texts by a base model, each distinct text once, through the `text_embeddings` cache."""
