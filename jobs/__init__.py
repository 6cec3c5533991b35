"""One entry point per stage: `python -m jobs.<table>`."""

from persona_pipeline.nights import ORDER

__all__ = ["ORDER"]
