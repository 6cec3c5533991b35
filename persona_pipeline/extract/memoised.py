"""Batch many small embedding calls into one."""

from collections.abc import Iterable

import numpy as np

from persona_pipeline.extract.types import Embed


def memoised(embed: Embed, texts: Iterable[str]) -> Embed:
    """Build an `Embed` restricted to these texts, all embedded at once: separate calls would each read the embedding cache."""
    distinct = sorted(set(texts))
    vectors = embed(distinct) if distinct else np.empty((0, 0), np.float32)
    place = {text: i for i, text in enumerate(distinct)}
    return lambda wanted: vectors[[place[text] for text in wanted]]
