"""Extract personas without an LLM, by grammar and a lexicon."""

from persona_pipeline.extract.embedded.extractor import EmbeddedExtractor

__all__ = ["EmbeddedExtractor"]
