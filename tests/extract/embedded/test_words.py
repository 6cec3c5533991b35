"""Words: nouns from use, inflections merged, slips never repeated; tone with negations."""

import re

import pytest

from persona_pipeline.extract.embedded.tone import affirmed, denied, tone
from persona_pipeline.extract.embedded.vocabulary import load_vocabulary
from persona_pipeline.extract.embedded.words import Background, base_form, shown_form, tokens

TEXTS = [
    ("i1", "The clamp is strong. My clamp was tight, and the clamps hold."),
    ("i2", "A clamp and a noise gate. I put it on my pedalboard. The noise gate is fine."),
    ("i3", "Sturdy, with my pedalboard and the clmap."),
]


@pytest.mark.parametrize(
    ("word", "base"),
    [("strings", "string"), ("batteries", "battery"), ("boxes", "box"), ("bass", "bass"), ("bus", "bus")],
)
def test_base_form(word: str, base: str) -> None:
    assert base_form(word) == base


def test_background_counts_items_not_occurrences() -> None:
    background = Background(TEXTS)
    assert background.rarity("clamp") == pytest.approx(0.2877, abs=1e-4)  # log(4 / 3): two of three items
    assert background.rarity("gate") == pytest.approx(0.6931, abs=1e-4)  # log(4 / 2)


def test_a_slip_of_one_reviewer_is_not_repeated() -> None:
    background = Background([*TEXTS, *((f"x{n}", "Nothing.") for n in range(17))])  # 20 items: enough to tell
    assert background.is_known("clamps")
    assert not background.is_known("clmap")


def test_nouns_and_what_people_own() -> None:
    background = Background(TEXTS)
    assert background.is_noun("clamp")
    assert not background.is_noun("strong")
    assert not background.is_noun("sturdy")
    assert background.is_owned("pedalboard")
    assert not background.is_owned("clamp noise")


def test_things_are_known_nouns_and_pairs() -> None:
    background = Background(
        [*TEXTS, *((f"x{n}", "This noise gate: the noise is gone, the gate is it.") for n in range(17))]
    )
    assert background.things(tokens("The noise gate holds the clmap")) == {"gate", "noise gate"}


def test_shown_form_is_the_spelling_used_most() -> None:
    assert shown_form("string", ["The strings are fine", "Nice strings", "one string"]) == "strings"
    assert shown_form("string", ["no such word"]) == ""


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("I love the great tone", 2),
        ("It is not great", -1),
        ("No problems at all", 1),
        ("It never failed me", 1),
        ("It broke after a week", -1),
        ("I put it on Tuesday", 0),
    ],
)
def test_tone(text: str, sign: int) -> None:
    vocabulary = load_vocabulary()
    assert tone(tokens(text), vocabulary.liking, vocabulary.disliking) == sign


def test_affirmed_skips_what_is_denied_or_said_of_others() -> None:
    compact = re.compile("compact")
    assert affirmed(compact, "It is not very compact") is None
    assert affirmed(compact, "too compact") is None
    found = affirmed(compact, "Not compact for others, yet for me compact enough")
    assert found is not None
    assert found.start() > 20


def test_a_negation_reaches_through_its_clause_and_no_further() -> None:
    broke = re.compile("br(?:eak|oke)n?")
    praise = "I've never had these strings break on me (I've broken Martin strings in the past)"
    assert denied(broke, praise)
    assert affirmed(broke, "I've never had these strings break") is None
    assert affirmed(broke, "No problems at first, then the strap broke") is not None
    assert not denied(broke, "No problems at first, then the strap broke")
    assert affirmed(re.compile("compact"), "not only compact but light") is not None
