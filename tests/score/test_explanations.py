"""Explanations: what they say, how long they get, and that no reviewer's text can break out of a page."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.score.explanations import LONGEST, QUOTE, explanation, inert, of_ones_own, quoted

HOSTILE = [
    '</p><script>alert("x")</script>',
    "<img src=x onerror=alert(1)",
    '" onmouseover="alert(1)',
    "' autofocus onfocus=alert(1) x='",
    "<!-- no end",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202egnp.exe\u202c and \x1b[31mred\x00",
    "<svg/onload=alert(1)>",
    "]]><![CDATA[<b>",
]


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.comments: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def unknown_decl(self, data: str) -> None:
        self.comments.append(data)


def span(quote: str, kind: str = "review", ref: str = "r1") -> dict[str, str]:
    return {"kind": kind, "ref": ref, "quote": quote}


def whole_of(text: str) -> str:
    """An explanation all parts of which are one text."""
    spans = [span(text), span(f"{text} again")]
    return explanation("llm", text, "", quoted("llm", "mixed", spans), of_ones_own(text))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("page", ["<p>{}</p><i>", '<p title="{}"></p><i>', "<p title='{}'></p><i>"])
def test_unescaped_in_a_page_it_is_still_only_text(text: str, page: str) -> None:
    for words in (inert(text, 600), whole_of(text)):
        found = Page(page.format(words))
        assert [tag for tag, _ in found.tags] == ["p", "i"]
        assert [len(attributes) for _, attributes in found.tags] == [int("title" in page), 0]
        assert found.comments == []


def test_the_page_would_be_broken_out_of_by_the_text_itself() -> None:
    assert [tag for tag, _ in Page(f"<p>{HOSTILE[0]}</p><i>").tags] != ["p", "i"]
    assert len(Page(f'<p title="{HOSTILE[2]}"></p>').tags[0][1]) == 2


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=400), st.integers(2, 200))
def test_inert_text_is_one_bounded_line_and_stays_as_it_is(text: str, most: int) -> None:
    found = inert(text, most)
    assert len(found) <= most
    assert not set(found) & set("<>\"'`\n\t\x00\x1b\u202e")
    assert inert(found, most) == found


def test_long_text_ends_at_a_word() -> None:
    assert inert("one two three", 9) == "one two…"
    assert inert("one two three", 13) == "one two three"
    assert inert("x" * 20, 8) == "xxxxxxx…"


def test_quotation_marks_are_set() -> None:
    assert inert('a "solid" 12" pan, it\'s "fine"', 99) == "a “solid” 12” pan, it’s “fine”"


def test_an_explanation_is_bounded() -> None:
    long = "word " * 500
    assert 2 * QUOTE < len(whole_of(long)) <= LONGEST


def test_a_reason_two_quotes_that_differ_and_an_item_of_ones_own() -> None:
    quotes = quoted(
        "embedded", "likes", [span("Great sound."), span("great sound!"), span("It sounds clear."), span("Loud.")]
    )
    assert quotes == "“Great sound.” “It sounds clear.”"
    because = "Reviewers like the sound."
    assert explanation("embedded", because, "popularity", quotes, of_ones_own("Strap")) == (
        "Reviewers like the sound: “Great sound.” “It sounds clear.” You wrote the same of “Strap”."
    )
    assert explanation("llm", "They care.", "prior", "", of_ones_own(None)) == "They care."


@pytest.mark.parametrize(
    ("nearest", "says"),
    [
        ("interaction", "It is close to what you have chosen before."),
        ("prior", "People who chose what you chose also chose it."),
        ("popularity", "Many people choose it."),
        ("", ""),
    ],
)
def test_where_a_persona_says_nothing_the_score_is_the_reason(nearest: str, says: str) -> None:
    quotes = quoted("quotes", "likes", [span("Great strings.")])
    assert explanation("quotes", "Reviewers speak for themselves.", nearest, quotes, "") == (
        f"{says} Reviewers write: “Great strings.”".strip()
    )


def test_quotes_that_are_no_praise_are_no_reason() -> None:
    assert quoted("quotes", "mixed", [span("Sand got into the lenses.")]) == ""


def test_of_an_items_own_words_only_its_description_is_quoted() -> None:
    title, pitch = span("Soft case", "metadata", "title"), span("Holds a guitar.", "metadata", "description")
    assert quoted("metadata", "mixed", [title, pitch]) == "Its description says: “Holds a guitar.”"
    assert quoted("metadata", "mixed", [title]) == ""
    assert (
        explanation("metadata", "Nobody.", "", quoted("metadata", "mixed", [title]), "")
        == "Nobody has said yet why they like it."
    )
