"""From a candidate to a release: audit, publication, and how readers find what is published."""

from persona_pipeline.publish.readers import Recommendations

__all__ = ["Recommendations"]
