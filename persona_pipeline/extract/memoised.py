"""Many small questions to the base model become one."""

from collections.abc import Iterable

import numpy as np

from persona_pipeline.extract.types import Embed


def memoised(embed: Embed, texts: Iterable[str]) -> Embed:
    """An `Embed` of these texts alone, all embedded at once: asking for them one by one would read the cache as often."""
    distinct = sorted(set(texts))
    vectors = embed(distinct) if distinct else np.empty((0, 0), np.float32)
    place = {text: i for i, text in enumerate(distinct)}
    return lambda wanted: vectors[[place[text] for text in wanted]]
