"""Persona extraction without an LLM."""

from persona_pipeline.extract.embedded.extractor import EmbeddedExtractor

__all__ = ["EmbeddedExtractor"]
