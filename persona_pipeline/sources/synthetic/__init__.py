"""Generate synthetic reviews with known ground truth: each review's author persona, motive, and every user's preferences.

`generate(config)` makes a world, `write(world, folder)` its files, `Oracle(folder)` the true preferences behind them.
"""

from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.files import write
from persona_pipeline.sources.synthetic.oracle import Oracle
from persona_pipeline.sources.synthetic.world import SyntheticWorld, generate

__all__ = ["Oracle", "SyntheticConfig", "SyntheticWorld", "generate", "write"]
