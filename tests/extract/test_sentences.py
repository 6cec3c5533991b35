"""Sentences: boundaries shoppers write, and spans that are always verbatim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.extract.sentences import split_sentences


def quotes(text: str) -> list[str]:
    return [sentence.quote for sentence in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It works. I like it.", ["It works.", "I like it."]),
        ("As I had expected.As a bonus it smells.", ["As I had expected.", "As a bonus it smells."]),
        ("Works great...no complaints!", ["Works great...", "no complaints!"]),
        ("Love it!!Sounds great", ["Love it!!", "Sounds great"]),
        ("Got it from Amazon.com for $3.50 today.", ["Got it from Amazon.com for $3.50 today."]),
        ("Mr. Smith, e.g. my teacher, uses no. 2 picks.", ["Mr. Smith, e.g. my teacher, uses no. 2 picks."]),
        ("My daughter's. She loves it.", ["My daughter's.", "She loves it."]),
        ("For my son 😀 He loves it 🎸🎸", ["For my son 😀", "He loves it 🎸🎸"]),
        ("I ❤ this thing.", ["I ❤ this thing."]),
        ("Pros:\n- sturdy\n* light\n1. cheap\n2) loud", ["Pros:", "sturdy", "light", "cheap", "loud"]),
        ("GREAT STRAP. BUY IT!", ["GREAT STRAP.", "BUY IT!"]),
        ("So do I. It is good.", ["So do I.", "It is good."]),
        ('He said "buy it." I did.', ['He said "buy it."', "I did."]),
        ("...", []),
        ("", []),
        ("  \n ", []),
    ],
)
def test_boundaries(text: str, expected: list[str]) -> None:
    assert quotes(text) == expected


REVIEWISH = st.text(alphabet=st.sampled_from("aB .!?…\n-1)\"'’é😀I·,"), max_size=60)


@given(st.one_of(st.text(max_size=80), REVIEWISH))
def test_spans_are_verbatim_ordered_and_lose_no_letter(text: str) -> None:
    sentences = split_sentences(text)
    end = 0
    covered: set[int] = set()
    for sentence in sentences:
        assert text[sentence.start : sentence.end] == sentence.quote
        assert sentence.quote == sentence.quote.strip()
        assert sentence.start >= end
        end = sentence.end
        covered.update(range(sentence.start, sentence.end))
    assert {i for i, c in enumerate(text) if c.isalpha()} <= covered
