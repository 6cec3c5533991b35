"""Recommendations of a release, as a web service or an analyst asks for them."""

from persona_pipeline.serving.reader import Recommendations

__all__ = ["Recommendations"]
