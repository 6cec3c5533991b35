"""Generate tens of millions of synthetic reviews by Spark: skewed, dirty, with counts known in advance.

`LargeConfig` has the sizes, `Layout` says what stands on which line, `write(spark, config, folder)` makes the files. The
truth here is counts (`truth.json`): what an ingest must find; preferences and personas are those of the small world.
"""

from persona_pipeline.sources.synthetic.large.config import LargeConfig, large_config
from persona_pipeline.sources.synthetic.large.layout import Layout

__all__ = ["LargeConfig", "Layout", "large_config"]
