"""The extractor as a whole: laws that hold for any text, summaries, versions, and real reviews where they lie."""

import dataclasses
import gzip
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded import EmbeddedExtractor
from persona_pipeline.extract.embedded.shop import Shop
from persona_pipeline.extract.types import ItemEvidence, ItemText, Persona, ReviewText

MakeItem = Callable[..., ItemEvidence]
REAL = Path(__file__).parents[3] / "../shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"
JUDGED = Path(__file__).parents[3] / "../shared/data/judged_personas"


def test_aspects_by_hand(extractor: EmbeddedExtractor) -> None:
    text = (
        "Hello there.I bought this as a gift for my daughter. It is sturdy! I use it for recording. Not sturdy enough."
    )
    ((aspects, _),) = extractor.aspects([ReviewText("r1", "u1", "i1", 5.0, text)])
    assert aspects.texts == {
        "purchase_purpose": "I bought this as a gift for my daughter.",
        "quality_criteria": "It is sturdy!",
        "usage_context": "I use it for recording.",
    }
    assert [(quote.start, quote.topic) for quote in aspects.evidence][:3] == [
        (12, "gift"), (53, "sturdy"), (67, "for recording")
    ]  # fmt: skip


def test_summaries_from_metadata_reviews_or_nothing(extractor: EmbeddedExtractor, make_item: MakeItem) -> None:
    item = make_item(
        "i1", title="Acme <b>Stand</b>", description="Holds a guitar safely. See https://acme.example now!"
    )
    categorised = dataclasses.replace(
        item, item=dataclasses.replace(item.item, categories=("Music", "Stands and Racks"))
    )
    reviewed = make_item(
        "i2",
        (5.0, "This clamp holds the neck of my guitar very well."),
        (4.0, "I would trust this clamp with any neck."),
    )
    empty = make_item("i3", (5.0, "Great!"))
    first, second, third = (summary for summary, _ in extractor.summaries([categorised, reviewed, empty]))
    assert first.summary == "Acme Stand (Stands and Racks). Holds a guitar safely."
    assert (first.source, second.source, third.source) == ("metadata", "reviews", "none")
    assert second.summary == "Clamp. I would trust this clamp with any neck."
    assert third.summary == ""


def test_the_shop_is_asked_once_and_only_for_personas(make_item: MakeItem) -> None:
    asked = []

    def shop() -> Shop:
        asked.append(1)
        return Shop()

    extractor = EmbeddedExtractor(ExtractionConfig(), shop)
    items = [make_item(f"i{n}", (5.0, "Great sound.")) for n in range(3)]
    list(extractor.aspects(items[0].reviews))
    list(extractor.summaries(items))
    assert asked == []
    list(extractor.personas(items))
    list(extractor.personas(items))
    assert asked == [1]


def test_version_follows_what_decides_the_answers() -> None:
    def version(**changes: int) -> str:
        return EmbeddedExtractor(ExtractionConfig(**changes), Shop).version("item_personas")

    assert version() == version(match_threshold=1) == version(reviews_per_persona=5)
    assert version() != version(max_personas=3)


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, persona_pipeline.extract.embedded; sys.exit(bool({'torch', 'spacy', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SENTENCES = st.sampled_from(
    [
        "I bought this as a gift for my daughter.",
        "The sound is great.",
        "Great sound!",
        "I don't like the sound.",
        "Sounds terrible.",
        "It broke after two weeks.",
        "It is sturdy.Very sturdy strap.",
        "Worth every penny",
    ]
)
REVIEWS = st.lists(
    st.tuples(
        st.integers(1, 5).map(float), st.lists(st.one_of(SENTENCES, st.text(max_size=40)), max_size=4).map(" ".join)
    ),
    max_size=12,
)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def of(extractor: EmbeddedExtractor, item: ItemEvidence) -> list[Persona]:
    ((personas, _),) = extractor.personas([item])
    return personas


@QUICK
@given(REVIEWS)
def test_laws_that_hold_for_any_text(
    extractor: EmbeddedExtractor, make_item: MakeItem, reviews: list[tuple[float, str]]
) -> None:
    item = make_item("i1", *reviews)
    texts = {review.review_id: review for review in item.reviews}
    personas = of(extractor, item)
    assert len({persona.name for persona in personas}) == len(personas) <= 7
    stances = [persona.stance for persona in personas]
    assert stances == sorted(stances, key=("likes", "dislikes").index)
    for persona in personas:
        assert 2 <= len(persona.evidence) <= 5
        assert len({texts[quote.ref].user_id for quote in persona.evidence}) == len(persona.evidence) <= persona.support
        assert persona.mean_rating is not None
        assert (persona.mean_rating >= 3) if persona.stance == "likes" else (persona.mean_rating <= 4)
        for quote in persona.evidence:
            assert texts[quote.ref].text[quote.start : quote.end] == quote.quote
    for review, aspects in zip(item.reviews, item.aspects, strict=True):
        for told in aspects.evidence:
            assert review.text[told.start : told.end] == told.quote


@QUICK
@given(REVIEWS, st.randoms(use_true_random=False))
def test_order_of_reviews_does_not_matter(
    extractor: EmbeddedExtractor, make_item: MakeItem, reviews: list[tuple[float, str]], random: Random
) -> None:
    item = make_item("i1", *reviews)
    told = list(zip(item.reviews, item.aspects, strict=True))
    random.shuffle(told)
    mixed = dataclasses.replace(item, reviews=tuple(r for r, _ in told), aspects=tuple(a for _, a in told))
    assert of(extractor, mixed) == of(extractor, item)


def test_metadata_may_be_missing_or_blank(extractor: EmbeddedExtractor) -> None:
    blank = ItemEvidence(ItemText("i1", title="  ", description=" "), "", ())
    assert of(extractor, blank) == []
    assert next(extractor.summaries([blank]))[0].source == "none"


@pytest.mark.skipif(not JUDGED.exists(), reason=f"no judged personas at {JUDGED.name}")
def test_nothing_is_said_of_quotes_that_were_misread(make_item: MakeItem, extractor: EmbeddedExtractor) -> None:
    """Of the personas of the old extractor that a reader called untrue, by wrong polarity or another sense of a word."""
    wrong = ("wrong polarity", "cue word wrong sense", "aspect wrong sense", "contradicts quote")
    rows = [
        json.loads(line)
        for name in ("demo", "instruments")
        for line in (JUDGED / f"{name}.jsonl").read_text().splitlines()
    ]
    misread = [row for row in rows if not row["verdict"]["true"] and row["verdict"]["kind"] in wrong]
    assert misread
    for row in misread:
        item = make_item("i", *((row["mean_rating"] or 3.0, quote) for quote in row["quotes"]))
        assert row["name"] not in {persona.name for persona in of(extractor, item)}


@pytest.mark.skipif(not REAL.exists(), reason=f"no real reviews at {REAL.name}")
def test_real_reviews_give_distinct_personas_whose_topic_is_in_every_quote(make_item: MakeItem) -> None:
    by_item: dict[str, list[tuple[float, str]]] = defaultdict(list)
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["reviewText"]:
                by_item[row["asin"]].append((float(row["overall"]), row["reviewText"]))
    items = [make_item(name, *by_item[name][:30]) for name in sorted(by_item)[:25]]
    extractor = EmbeddedExtractor(
        ExtractionConfig(), lambda: Shop({"sound": "sound", "quality": "quality", "tone": "tone"})
    )
    found = [persona for personas, _ in extractor.personas(items) for persona in personas]
    assert len({(persona.item_id, persona.name) for persona in found}) == len(found) >= 10
    nouns = [persona for persona in found if persona.topic in ("sound", "quality", "tone")]
    assert nouns
    assert all(str(persona.topic) in quote.quote.lower() for persona in nouns for quote in persona.evidence)
