"""A stage over a world of some size in a process of its own; prints the most memory it took beyond what it began with.

python measured_stage.py STAGE ITEMS WAREHOUSE
"""

from datetime import date

import numpy as np

from persona_pipeline.config import EncodersConfig
from persona_pipeline.embeddings.cache import Embedder, text_hash

D = 64
EVIDENCE, MET, USERS = 6, 8, 2  # reviews an item, interactions a user, users an item
AS_OF = date(2024, 6, 30)
BASE = EncodersConfig()


class Drawn(Embedder):
    """Vectors that depend on the text alone, without a model."""

    @property
    def _model(self) -> "Drawn":  # type: ignore[override]
        return self

    dimensions = D

    def encode(self, texts: list[str]) -> np.ndarray:
        """Draw vectors, (n, d)."""
        seeds = np.array([int(text_hash(text)[:8], 16) for text in texts], np.uint64)[:, None]
        found = np.sin((seeds % np.uint64(9973)).astype(np.float32) * np.arange(1, D + 1, dtype=np.float32))
        unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit.astype(np.float32)
