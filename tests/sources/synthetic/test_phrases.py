import itertools

import pytest

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.synthetic.phrases import Draw, Phrase, sentence


def draws(*values: float) -> Draw:
    return itertools.cycle(values).__next__


def test_each_choice_takes_one_number() -> None:
    phrase = Phrase("the (battery|charge) lasts (long|ages|)")
    assert phrase.variants == 6
    assert phrase.expand(draws(0.0, 0.4)) == "the battery lasts ages"
    assert phrase.expand(draws(0.99, 0.99)) == "the charge lasts "


def test_slots_are_filled_inside_alternatives_too() -> None:
    phrase = Phrase("(love {them}|love it), {time}")
    assert phrase.slots == {"them", "time"}
    assert phrase.expand(draws(0.0), {"them": "these", "time": "still"}) == "love these, still"


def test_a_slot_without_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="who"):
        Phrase("I'm {who}").expand(draws(0.0))


@pytest.mark.parametrize("source", ["a (b|(c|d))", "a (b|c", "a | b", "(alone)"])
def test_broken_notation_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="brackets"):
        Phrase(source)


@pytest.mark.parametrize(
    ("text", "expected"), [("it works", "It works."), ("does it?", "Does it?"), ("wow! ", "Wow!"), ("", "")]
)
def test_sentence(text: str, expected: str) -> None:
    assert sentence(text) == expected
