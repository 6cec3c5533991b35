"""An item of which nothing can be said for certain is shown by quotes, or by its own metadata."""

from dataclasses import replace

from persona_pipeline.extract.embedded.plain import plain_persona
from persona_pipeline.extract.types import AspectQuote, ItemEvidence, ItemText, ReviewAspects, ReviewText


def item(*reviews: tuple[float, str], **metadata: str) -> ItemEvidence:
    texts = tuple(ReviewText(f"r{n}", f"u{n}", "i", stars, text) for n, (stars, text) in enumerate(reviews))
    return ItemEvidence(ItemText("i", **metadata), "", texts)  # type: ignore[arg-type]


def test_praise_that_reads_well_is_quoted_and_nothing_else() -> None:
    found = plain_persona(
        item(
            (1, "It broke after two weeks and I hate it so much."),
            (5, "A star off because sand got into the wonderful lenses but anyway."),
            (5, "It holds my guitar and looks wonderful on the wall."),
            (4, "IT HOLDS MY GUITAR AND LOOKS WONDERFUL ON THE WALL!"),
            (5, "I carry it to work every single day of the week."),
        )
    )
    assert found is not None
    assert (found.name, found.source, found.stance, found.topic) == ("What reviewers say", "quotes", "likes", None)
    assert [quote.quote for quote in found.evidence] == ["It holds my guitar and looks wonderful on the wall."]
    assert (found.support, found.mean_rating) == (1, 5.0)


def test_where_nobody_praises_it_what_is_said_is_no_reason() -> None:
    found = plain_persona(item((1, "It broke after two weeks."), (5, "Sand got into the lenses.")))
    assert found is not None
    assert ([quote.quote for quote in found.evidence], found.stance) == (["Sand got into the lenses."], "mixed")
    broken = plain_persona(item((1, "It broke after two weeks.")))
    assert broken is not None
    assert [quote.quote for quote in broken.evidence] == ["It broke after two weeks."]


def test_metadata_where_nobody_says_anything() -> None:
    title, pitch = "  Acme Music Stand", "A perfect gift for beginners. Comes in black."
    found = plain_persona(item((5, "👍"), (5, ""), title=title, description=pitch))
    assert found is not None
    assert (found.name, found.source, found.support, found.mean_rating) == ("No words yet", "metadata", 0, None)
    sources = {"title": title, "description": pitch}
    assert [quote.ref for quote in found.evidence] == ["title", "description"]
    assert all(sources[q.ref][q.start : q.end] == q.quote for q in found.evidence)
    short = plain_persona(item((5, ""), title=title, description="Acme stands. Comes in black, folded into a bag."))
    assert short is not None
    assert [quote.quote for quote in short.evidence] == [title.strip(), "Comes in black, folded into a bag."]
    # It says nothing of who likes it.
    assert "gift" not in (found.name + found.description + found.preference_rationale).lower()


def test_nothing_of_an_item_of_which_nothing_is_known() -> None:
    assert plain_persona(item((5, ""), title=" ")) is None


def test_what_says_something_of_the_item_leaves_no_room_for_the_whole_or_the_sale() -> None:
    told = item(
        (5, "I absolutely love this thing to bits."),
        (5, "Great sound from every string."),
        (5, "It arrived in perfect condition and on time."),
    )
    remark = AspectQuote(
        "quality_criteria", 0, 30, "Great sound from every string.", "sound", "likes", "great", "attribute"
    )
    found = plain_persona(replace(told, aspects=(ReviewAspects(told.reviews[1].review_id, {}, (remark,)),)))
    assert found is not None
    assert [quote.quote for quote in found.evidence] == ["Great sound from every string."]
    # A solid buy is praise of the whole: it is quoted where nobody says more.
    whole = replace(remark, topic="thing", quote="I absolutely love this thing to bits.")
    found = plain_persona(replace(told, aspects=(ReviewAspects(told.reviews[0].review_id, {}, (whole,)),)))
    assert found is not None
    assert [quote.quote for quote in found.evidence] == ["I absolutely love this thing to bits."]
    # Where no grammar was read, a word of praise must do.
    bare = plain_persona(told)
    assert bare is not None
    assert len(bare.evidence) == 2
