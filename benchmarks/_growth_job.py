"""One job of a night with embeddings drawn in place of computed: `_growth_job.py DRAWN JOB --warehouse W --run-id R`.

The first texts a process meets are embedded; the vectors of all others are drawn alike, near one of these, by their text. So
`growth.py` measures millions of texts without days of forward passes; what it says of `text_embeddings` is marked so.
"""

import hashlib
import runpy
import sys

import numpy as np

from persona_pipeline.embeddings import cache
from persona_pipeline.embeddings.model import TextModel

_NOISE = 0.5  # of a drawn vector, beside the embedded one it is near


class DrawnModel(TextModel):
    """Embeds the first texts and draws the vectors of the others."""

    embedded = 256

    def encode(self, texts: list[str]) -> np.ndarray:
        """Embed or draw, (n, d)."""
        known: np.ndarray | None = getattr(self, "_known", None)
        if known is None:
            known = self._known = super().encode(texts[: self.embedded])
        numbers = np.array(
            [int.from_bytes(hashlib.blake2b(t.encode(), digest_size=8).digest()) for t in texts], np.uint64
        )
        rng = np.random.default_rng(int(numbers[0]) if len(numbers) else 0)
        drawn = known[(numbers % np.uint64(len(known))).astype(np.int64)]
        noise = rng.standard_normal(drawn.shape, np.float32)
        drawn = drawn + _NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        unit: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit.astype(np.float32)


if __name__ == "__main__":
    drawn, job = sys.argv.pop(1), sys.argv.pop(1)
    if drawn == "drawn":
        cache.TextModel = DrawnModel  # type: ignore[attr-defined]
    runpy.run_module(f"jobs.{job}", run_name="__main__", alter_sys=True)
