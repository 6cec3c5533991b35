"""The extractor on small items whose right answer is plain, with a stand-in encoder."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_pipeline.config import ExtractionConfig
from persona_pipeline.extract.embedded import EmbeddedExtractor
from persona_pipeline.extract.embedded.vocabulary import load_vocabulary
from persona_pipeline.extract.protocol import ItemEvidence, ItemText, Persona, ReviewText

MakeItem = Callable[..., ItemEvidence]
GIFT = (5.0, "I bought this as a gift for my daughter.")
GIFT_AGAIN = (5.0, "I gave it to my brother as a present and he loved it.")
STAGE = (4.0, "I use it on stage with my band every week.")
STAGE_AGAIN = (5.0, "Perfect for rehearsals and gigs.")
BROKEN = (1.0, "It broke after two weeks.")
BROKEN_AGAIN = (2.0, "The plastic cracked and it fell apart.")


def personas_of(extractor: EmbeddedExtractor, *items: ItemEvidence) -> list[list[Persona]]:
    return [personas for personas, _ in extractor.personas(items)]


def names(persona_list: Iterable[Persona]) -> list[str]:
    return [persona.name for persona in persona_list]


def motive_names(*keys: str) -> set[str]:
    return {name for key in keys for name in load_vocabulary().by_key[key].names}


def test_who_and_why_and_the_minority_that_disagrees(extractor: EmbeddedExtractor, make_item: MakeItem) -> None:
    reviews = [GIFT, GIFT_AGAIN, GIFT, STAGE, STAGE_AGAIN, BROKEN, BROKEN_AGAIN, GIFT_AGAIN, STAGE]
    (personas,) = personas_of(extractor, make_item("i1", *reviews))
    gift, stage, broken = personas
    assert gift.name in motive_names("gift")
    assert (gift.support, gift.mean_rating, gift.source) == (4, 5.0, "embedded")
    assert stage.name in motive_names("performers")
    assert (stage.support, stage.mean_rating) == (3, 4.333)  # 4, 5 and 4 stars
    assert broken.name in motive_names("broken")
    assert (broken.support, broken.mean_rating) == (2, 1.5)
    assert "a daughter" in gift.description
    assert "gigs" in stage.description


def test_an_item_gets_at_most_one_persona_per_so_many_reviews(embed: object, make_item: MakeItem) -> None:
    item = make_item("i1", GIFT, GIFT_AGAIN, STAGE, STAGE_AGAIN, BROKEN, BROKEN_AGAIN)
    for settings_, expected in [((7, 3), 2), ((1, 3), 1), ((7, 6), 1), ((7, 10), 1), ((7, 1), 3)]:
        config = ExtractionConfig(max_personas=settings_[0], reviews_per_persona=settings_[1])
        (personas,) = personas_of(EmbeddedExtractor(config, embed), item)  # type: ignore[arg-type]
        assert len(personas) == expected, settings_


def test_the_complaint_keeps_a_place_among_more_praise(extractor: EmbeddedExtractor, make_item: MakeItem) -> None:
    (personas,) = personas_of(extractor, make_item("i1", GIFT, GIFT_AGAIN, GIFT, STAGE, STAGE_AGAIN, BROKEN))
    assert len(personas) == 2
    assert personas[1].name in motive_names("broken")


def test_praise_is_not_read_from_a_bad_review_nor_blame_from_others_gear(
    extractor: EmbeddedExtractor, make_item: MakeItem
) -> None:
    angry, switched = personas_of(
        extractor,
        make_item("i1", (1.0, "Bought as a gift for my son and it broke after two weeks.")),
        make_item("i2", (5.0, "My old one broke after a week and this is sturdy and well built.")),
    )
    assert names(angry)[0] in motive_names("broken")
    assert names(switched)[0] in motive_names("durability")


def test_one_usable_sentence_is_a_persona(extractor: EmbeddedExtractor, make_item: MakeItem) -> None:
    (personas,) = personas_of(extractor, make_item("i1", (5.0, "Great product! Five stars."), GIFT))
    (persona,) = personas
    assert persona.support == 1
    assert [quote.quote for quote in persona.evidence] == [GIFT[1]]


@pytest.mark.parametrize("text", ["Great product!", "I love it.", "five stars", "ok", "👍👍", ""])
def test_bare_praise_is_no_evidence(extractor: EmbeddedExtractor, make_item: MakeItem, text: str) -> None:
    item = make_item("i1", (5.0, text))
    ((personas, refusals),) = extractor.personas([item])
    assert personas == []
    assert [(refusal.subject, refusal.reason) for refusal in refusals] == [("i1", "no_evidence")]
    ((aspects, _),) = extractor.aspects(item.reviews)
    assert (aspects.texts, aspects.evidence) == ({}, ())


def test_unreviewed_items_rest_on_their_metadata(extractor: EmbeddedExtractor, make_item: MakeItem) -> None:
    title, pitch = "  Acme Music Stand", "A perfect gift for beginners. Comes in black."
    item = make_item("i1", (5.0, "Great!"), title=title, description=pitch)
    (((persona,), refusals),) = extractor.personas([item])
    assert (persona.source, persona.support, persona.mean_rating, refusals) == ("metadata", 0, None, [])
    sources = {"title": title, "description": pitch}
    assert [quote.ref for quote in persona.evidence] == ["title", "description"]
    for quote in persona.evidence:
        assert quote.kind == "metadata"
        assert sources[quote.ref][quote.start : quote.end] == quote.quote
    assert persona.evidence[1].quote == "A perfect gift for beginners."
    assert persona.name in motive_names("gift")


def test_metadata_does_not_tell_who_likes_it(extractor: EmbeddedExtractor) -> None:
    item = ItemText("i1", title="Acme stand for gigs and rehearsals", categories=("Music", "Guitar Stands", "A, B & C"))
    (((persona,), _),) = extractor.personas([ItemEvidence(item, "", ())])
    assert persona.name == "Guitar stand shoppers"
    assert persona.description.startswith("They are looking for “Acme stand for gigs and rehearsals”.")


def test_aspects_by_hand(extractor: EmbeddedExtractor) -> None:
    text = (
        "Hello there.I bought this as a gift for my daughter. It is sturdy and well built! I gig with it every weekend."
    )
    ((aspects, _),) = extractor.aspects([ReviewText("r1", "u1", "i1", 5.0, text)])
    assert aspects.texts == {
        "purchase_purpose": "I bought this as a gift for my daughter.",
        "quality_criteria": "It is sturdy and well built!",
        "usage_context": "I gig with it every weekend.",
    }
    assert [(quote.start, quote.aspect) for quote in aspects.evidence] == [
        (12, "purchase_purpose"),
        (53, "quality_criteria"),
        (82, "usage_context"),
    ]


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
    assert second.summary == "Clamp. Reviewers mention the neck. I would trust this clamp with any neck."
    assert third.summary == ""


def test_one_embedding_call_however_many_items(
    extractor: EmbeddedExtractor, make_item: MakeItem, embed: object
) -> None:
    list(extractor.personas([make_item(f"i{n}", GIFT, STAGE) for n in range(5)]))
    assert len(embed.calls) == 1  # type: ignore[attr-defined]


def test_the_background_given_counts_and_not_the_call(embed: object, make_item: MakeItem) -> None:
    items = [make_item("i1", *[GIFT, STAGE] * 5), make_item("i2", *[STAGE_AGAIN, BROKEN] * 5)]
    corpus = [(i.item.item_id, " ".join(r.text for r in i.reviews)) for i in items]
    extractor = EmbeddedExtractor(ExtractionConfig(), embed, lambda: corpus)  # type: ignore[arg-type]
    together = personas_of(extractor, *items)
    assert [personas_of(extractor, item)[0] for item in items] == together


def test_version_follows_what_decides_the_answers(embed: object) -> None:
    def version(**changes: int) -> str:
        return EmbeddedExtractor(ExtractionConfig(**changes), embed).version("item_personas")  # type: ignore[arg-type]

    assert version() == version(match_threshold=1)
    assert len({version(), version(max_personas=3), version(reviews_per_persona=5)}) == 3


def test_import_loads_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, persona_pipeline.extract.embedded; sys.exit(bool({'torch', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SENTENCES = st.sampled_from(
    [GIFT[1], GIFT_AGAIN[1], STAGE[1], STAGE_AGAIN[1], BROKEN[1], BROKEN_AGAIN[1], "Great!", "The clamp is nice.Strong"]
)
REVIEWS = st.lists(
    st.tuples(
        st.integers(1, 5).map(float), st.lists(st.one_of(SENTENCES, st.text(max_size=40)), max_size=4).map(" ".join)
    ),
    max_size=12,
)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_lawful(item: ItemEvidence, personas: Sequence[Persona]) -> None:
    texts = {review.review_id: review for review in item.reviews}
    assert len({persona.name for persona in personas}) == len(personas) <= 7
    assert [persona.support for persona in personas] == sorted((p.support for p in personas), reverse=True)
    for persona in personas:
        assert 1 <= len(persona.evidence) <= 5
        assert persona.item_id == item.item.item_id
        assert persona.mean_rating is not None
        assert 1 <= persona.mean_rating <= 5
        assert 1 <= persona.support <= len(texts)
        assert 2 <= len(persona.name.split()) <= 3
        for quote in persona.evidence:
            assert texts[quote.ref].text[quote.start : quote.end] == quote.quote
        assert "{" not in persona.description.replace(persona.evidence[0].quote, "") or "{" in str(texts)


@QUICK
@given(REVIEWS)
def test_quotes_are_verbatim_for_any_text(
    extractor: EmbeddedExtractor, make_item: MakeItem, reviews: list[tuple[float, str]]
) -> None:
    item = make_item("i1", *reviews)
    ((personas, refusals),) = extractor.personas([item])
    assert_lawful(item, personas)
    assert bool(personas) != bool(refusals)
    for review, (aspects, _) in zip(item.reviews, extractor.aspects(item.reviews), strict=True):
        assert aspects.review_id == review.review_id
        assert set(aspects.texts) == {quote.aspect for quote in aspects.evidence}
        for quote in aspects.evidence:
            assert review.text[quote.start : quote.end] == quote.quote


@QUICK
@given(st.lists(REVIEWS, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_order_of_items_and_reviews_does_not_matter(
    extractor: EmbeddedExtractor,
    make_item: MakeItem,
    reviews_by_item: list[list[tuple[float, str]]],
    random: Random,
) -> None:
    items = [make_item(f"i{n}", *reviews) for n, reviews in enumerate(reviews_by_item)]
    expected = {
        item.item.item_id: personas for item, personas in zip(items, personas_of(extractor, *items), strict=True)
    }
    random.shuffle(items)
    mixed = []
    for item in items:
        reviews = list(item.reviews)
        random.shuffle(reviews)
        mixed.append(dataclasses.replace(item, reviews=tuple(reviews)))
    again = {item.item.item_id: personas for item, personas in zip(mixed, personas_of(extractor, *mixed), strict=True)}
    assert again == expected


def test_a_large_item_is_bounded(extractor: EmbeddedExtractor, make_item: MakeItem) -> None:
    """More motives than places: seven personas, the complaint among them."""
    motives = load_vocabulary().motives
    reviews = [
        (1.0 if motive.critical else 5.0, text) for motive in motives for text in motive.prototypes for _ in range(2)
    ]
    (personas,) = personas_of(extractor, make_item("i1", *reviews))
    assert len(personas) == 7
    critical = {name for motive in motives if motive.critical for name in motive.names}
    assert critical & set(names(personas))
    assert np.isfinite([persona.mean_rating for persona in personas if persona.mean_rating is not None]).all()


def test_metadata_may_be_missing_or_blank(extractor: EmbeddedExtractor) -> None:
    blank = ItemEvidence(ItemText("i1", title="  ", description=" "), "", ())
    ((personas, refusals),) = extractor.personas([blank])
    assert (personas, [refusal.reason for refusal in refusals]) == ([], ["no_evidence"])
    assert next(extractor.summaries([blank]))[0].source == "none"
