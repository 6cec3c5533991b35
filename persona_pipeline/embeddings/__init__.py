"""Texts to vectors by a base model, each distinct text once."""
