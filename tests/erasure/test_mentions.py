"""Texts searched for people: by ids as whole words, and by words in a row that nobody else wrote."""

import pytest

from persona_pipeline.erasure.mentions import GONE, Mentions

BEN = "Bought it for my daughter, who just started lessons. She loves it. Works!"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("key A2IBPI20 repeated", True),
        ("key A2IBPI20X repeated", False),
        ("key XA2IBPI20 repeated", False),
        ('{"user_id": "A2IBPI20"}', True),
        ("A2IBPI20", True),
        ("A2IBPI20-strap", True),  # a part, and nothing else is called so
        ("user_A2IBPI20, top-A2IBPI20.json", True),
        ("", False),
        (None, False),
    ],
)
def test_an_id_is_a_whole_word(text: str | None, named: bool) -> None:
    assert Mentions(frozenset(["A2IBPI20"])).named_in(text) is named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("embedded 42 of 500 texts", False),
        ("user 42 has no history", True),
        ('{"user_id": 42, "rating": 5}', True),
        ('{"user_id": "42"}', True),
        ('{"user_id": 421}', False),
        ("reviewer: 42", True),
        ("rank 42", False),
    ],
)
def test_a_number_is_an_id_where_the_text_says_so(text: str, named: bool) -> None:
    assert Mentions(frozenset(["42"])).named_in(text) is named


def test_a_word_is_no_part_of_a_name() -> None:
    assert not Mentions(frozenset(["john"])).named_in("john-smith")


def test_an_id_within_another_is_redacted_once() -> None:
    assert Mentions(frozenset(["x b-c-d", "b-c-d"])).redacted("see x b-c-d now, b-c-d") == f"see {GONE} now, {GONE}"


def test_ids_of_events_are_found_wherever_they_stand() -> None:
    mentions = Mentions(frozenset([f"event:{n:016x}" for n in range(20_000)]))
    assert mentions.redacted('id:event:00000000000000ff, {"event:0000000000000001"}') == f'id:{GONE}, {{"{GONE}"}}'
    assert not mentions.named_in("event:zz " * 10_000)


def test_ids_with_any_characters() -> None:
    mentions = Mentions(frozenset(["ana lópez@x.org"]))
    assert mentions.redacted("by ana lópez@x.org, twice: ana lópez@x.org") == f"by {GONE}, twice: {GONE}"
    assert mentions.named_in('{"user": "ana l\\u00f3pez@x.org"}')


def test_a_line_of_csv_is_theirs_by_a_field() -> None:
    mentions = Mentions(frozenset(["42"]))
    assert mentions.in_record("42,B0002,1")
    assert not mentions.in_record("7,B0042,1")
    assert not any(mentions.in_record(value) for value in ("42", "42,5"))  # a rating that was refused is nobody's


@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("“… it for my daughter, who just started …”", True),  # six in a row
        ("IT  FOR MY\nDAUGHTER — who just!", True),
        ("it for my daughter who said", False),  # five
        ("she loves it.", True),  # a whole sentence
        ("works", False),  # everybody's
        (None, False),
    ],
)
def test_words_are_theirs_in_a_row(text: str | None, theirs: bool) -> None:
    assert Mentions.of(["ben"], [BEN]).quoted_in(text) is theirs


def test_what_others_wrote_too_is_nobodys() -> None:
    mentions = Mentions.of(["ben"], [BEN]).without(["My son: she loves it. Bought it for my daughter, who just left"])
    assert not mentions.quoted_in("She loves it.")
    assert not mentions.quoted_in("bought it for my daughter who just")
    assert mentions.quoted_in("my daughter, who just started lessons")


def test_a_text_with_their_words_goes_whole() -> None:
    assert Mentions.of(["ben"], [BEN]).redacted("He said: for my daughter, who just started.") == GONE
