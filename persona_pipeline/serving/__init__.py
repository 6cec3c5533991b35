"""Serve the recommendations of a release to a web service or an analyst (`Recommendations`)."""

from persona_pipeline.serving.reader import Recommendations

__all__ = ["Recommendations"]
