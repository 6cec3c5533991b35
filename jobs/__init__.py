"""Define the entry point of every pipeline stage: `python -m jobs.<table>`."""

from persona_pipeline.runs.order import ORDER

__all__ = ["ORDER"]
