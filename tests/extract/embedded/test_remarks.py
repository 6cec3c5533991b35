"""Which sentences say something for certain; each refused one is of a kind that once made an untrue persona."""

import pytest

from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.remarks import read_remarks
from persona_pipeline.extract.types import AspectQuote, ReviewText


def read(stars: float, text: str) -> tuple[AspectQuote, ...]:
    (found,) = read_remarks([ReviewText("r", "u", "i", stars, text)])
    return found


def topics(stars: float, text: str) -> set[tuple[str | None, str | None]]:
    return {(remark.topic, remark.stance) for remark in read(stars, text)}


SAYS = {
    "I bought this as a gift for my daughter.": ("gift", "likes"),
    "Bought these for my son.": ("gift", "likes"),
    "It makes a great Christmas present.": ("gift", "likes"),
    "I am a beginner and it helps.": ("beginners", "likes"),
    "My kids love it.": ("children", "likes"),
    "Well worth every penny.": ("price", "likes"),
    "It was a great deal.": ("price", "likes"),
    "Great deal!": ("price", "likes"),
    "It is way overpriced.": ("price", "dislikes"),
    "Very easy to set up.": ("ease", "likes"),
    "It is really well made.": ("made", "likes"),
    "It held up well.": ("lasting", "likes"),
    "It broke after two weeks.": ("lasting", "dislikes"),
    "It arrived late.": ("late", "dislikes"),
    "I could not put it down.": ("grip", "likes"),
    "It made me laugh.": ("laughter", "likes"),
    "I cried at the end.": ("tears", "likes"),
    "I take it on every trip.": ("along", "likes"),
    "I have read it twice.": ("again", "likes"),
}


@pytest.mark.parametrize(("text", "says"), SAYS.items(), ids=list(SAYS))
def test_whole_phrases_tell_motives(text: str, says: tuple[str, str]) -> None:
    assert says in topics(4, text)


def test_every_motive_is_told_by_some_sentence_here() -> None:
    motives = load_lexicon().lexicon.motives
    told = {(motive.topic or key, motive.stance) for key, motive in motives.items() if key != "hard_to_use"}
    assert told == set(SAYS.values())


@pytest.mark.parametrize(
    "text",
    [
        "I received this as a gift from my son.",
        "My son bought this for me.",
        "Put it in the gift bag.",
        "A gift card is a great gift card.",
        "My last one broke after two weeks.",
        "It hasn't broken in two years.",
        "The spare room is great.",
        "If the sound was great I would keep it.",
        "The sound is better than my old one.",
        "It would be great for recording.",
        "I was hoping for great sound.",
        "I heard a better amp and the sound is great.",
        "Initially I loved the sound.",
        "At first the sound was great.",
        "The sound of this one is superior to that.",
        "My guitar has great sound with it.",
        "It will work great.",
        "It works great if you hold it.",
        "Anything but great sound.",
        "The box is so well made that I left it.",
        "It works on my guitar as well.",
        "The switch is easy to find.",
        "The base is nice and heavy.",
        "It holds well, mostly.",
        "It may work well with picks.",
        "It works great so far.",
        "They almost sound great.",
        "They sound as good as the others.",
        "It sounds just as good.",
        "I'd say the sound is great.",
        "I tried two heads and they all sound great.",
        "They both sound great.",
        "The company makes great sound.",
        "Is the sound great?",
        "Reviewers say the sound is great.",
        "Her face was worth every penny.",
        "Not worth mentioning.",
        "It takes a good deal of effort.",
        "We go to this place a great deal.",
        "Some good sound and some noise.",
    ],
)
def test_other_senses_wishes_doubts_and_other_things_say_nothing(text: str) -> None:
    general = {"room", "gift card", "deal"}  # which are topics nowhere
    assert not [r for r in read(4, text) if r.stance != "mixed" and r.topic not in general]


def test_stars_that_contradict_the_words_outweigh_them() -> None:
    assert ("sound", "likes") in topics(3, "The sound is great.")
    assert topics(2, "The sound is great.") == set()
    assert ("sound", "dislikes") in topics(4, "The sound is terrible.")
    assert topics(5, "The sound is terrible.") == set()
    # What is no praise by itself needs four stars.
    assert ("gift", "likes") in topics(4, "I bought this as a gift for my daughter.")
    assert topics(3, "I bought this as a gift for my daughter.") == set()
    assert topics(3, "I use it for recording.") == set()


def test_spans_are_verbatim() -> None:
    text = "Hello there.The sound is great! I use it for recording."
    assert [(r.start, r.end, text[r.start : r.end] == r.quote) for r in read(5, text)] == [
        (12, 31, True),
        (32, 55, True),
    ]


CLAUSES = {
    "The sound is great but the knobs are terrible.": [
        ("The sound is great", "likes"),
        ("the knobs are terrible.", "dislikes"),
    ],
    "The sound is great, although I would buy black knobs.": [("The sound is great", "likes")],
    "It sounds great and I would buy it again.": [("It sounds great", "likes")],
    "It looks nice; it does not fit.": [("It looks nice", "likes")],
    # What the rest does not call in question is quoted with it, and a condition stays with what hangs on it.
    "The sound is great and the strap arrived on time.": [
        ("The sound is great and the strap arrived on time.", "likes")
    ],
    "If you turn it up, it sounds great.": [],
    "Worth every penny, but it does not fit.": [("Worth every penny", "likes")],
}


@pytest.mark.parametrize(("text", "says"), CLAUSES.items(), ids=list(CLAUSES))
def test_a_clause_is_judged_by_itself_and_quoted_alone_where_the_rest_objects(
    text: str, says: list[tuple[str, str]]
) -> None:
    told = [remark for remark in read(4, text) if remark.stance != "mixed"]
    assert [(remark.quote, remark.stance) for remark in told] == says
    assert all(text[remark.start : remark.end] == remark.quote for remark in told)


def test_a_property_said_of_another_thing_in_the_same_sentence_is_not_the_items() -> None:
    assert topics(5, "My old strap was a pain, but it is sturdy.") == set()
