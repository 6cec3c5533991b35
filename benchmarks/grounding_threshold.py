"""Where support begins: `grounding_threshold.py FOLDER`, the folder of the published sample's `1_aspects.jsonl`.

How near published aspects lie to the best sentence of their own review, and to the best of as many sentences of another
review, which cannot support them (but is about a book too). The threshold is where own and foreign shares differ most.
The sample's personas are of other items than its reviews, so they cannot be used.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from persona_pipeline.config import TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.extract.llm.grounding import SUPPORT
from persona_pipeline.extract.sentences import split_sentences
from persona_pipeline.extract.types import ASPECT_NAMES
from persona_pipeline.warehouse import Warehouse

LEVELS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45)


def main(folder: Path) -> dict[str, Any]:
    """Shares of aspects that pass each level, by their own sentences and by foreign ones."""
    reviews = {row["review_id"]: row for row in _rows(folder / "1_aspects.jsonl")}
    aspects = [
        (str(row["extracted_aspects"][name]), [s.quote for s in split_sentences(row["review_text"])])
        for row in reviews.values()
        for name in ASPECT_NAMES
        if row["extracted_aspects"][name]
    ]
    with tempfile.TemporaryDirectory() as scratch:
        embed = Embedder(TextEmbeddingsConfig(), Warehouse(scratch))
        return {"support": SUPPORT, **_passing(aspects, embed)}


def _passing(claims: list[tuple[str, list[str]]], embed: Embedder) -> dict[str, Any]:
    texts = sorted({text for claim, sentences in claims for text in (claim, *sentences)})
    place = {text: i for i, text in enumerate(texts)}
    vectors = embed(texts)
    rng = np.random.default_rng(0)
    own, foreign = [], []
    for i, (claim, sentences) in enumerate(claims):
        if not sentences:
            continue
        vector = vectors[place[claim]]
        own.append(float((vectors[[place[s] for s in sentences]] @ vector).max()))
        # From half the file away: neighbours share their review.
        other = claims[(i + len(claims) // 2) % len(claims)][1]
        drawn = rng.permutation(len(other))[: len(sentences)]
        if len(drawn):
            foreign.append(float((vectors[[place[other[j]] for j in drawn]] @ vector).max()))
    shares = {str(level): [round(float(np.mean(np.array(v) >= level)), 3) for v in (own, foreign)] for level in LEVELS}
    best = max(LEVELS, key=lambda level: shares[str(level)][0] - shares[str(level)][1])
    return {"claims": len(own), "own_and_foreign_passing": shares, "best": best}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(main(Path(sys.argv[1]))))
    else:
        print(json.dumps({"skipped": "give the folder of the published sample"}))
