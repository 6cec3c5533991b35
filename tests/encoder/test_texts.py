"""Rendered texts, word for word: whoever changes one must change TEXT_VERSION, and these with it."""

from itertools import product

import pyarrow as pa
import pytest

from persona_pipeline.encoder.texts import TEXT_VERSION, render_content, render_interactions, render_personas


def strings(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def test_version_of_the_texts_below() -> None:
    assert TEXT_VERSION == "3"


@pytest.mark.parametrize(
    ("name", "description", "summary", "rationale", "text"),
    [
        (
            "Gigging players",
            "They play long nights.",
            "Padded guitar strap.",
            "It is wide and soft.",
            "Gigging players. They play long nights. Padded guitar strap. It is wide and soft.",
        ),
        ("Gigging players", None, "Padded guitar strap.", None, "Gigging players Padded guitar strap."),
        (None, "They play long nights.", "", "It is wide.", "They play long nights. It is wide."),
        ("Gigging players", None, None, "", "Gigging players"),
        (None, None, None, "It is wide.", "It is wide."),
        (None, "", None, None, ""),
    ],
)
def test_persona(
    name: str | None, description: str | None, summary: str | None, rationale: str | None, text: str
) -> None:
    rendered = render_personas(strings(name), strings(description), strings(summary), strings(rationale))
    assert rendered.to_pylist() == [text]


def test_an_interaction_is_the_review_as_it_stands() -> None:
    said = ["Padded.  Wide, too. ", None, "", "doux — 🎸"]
    assert render_interactions(strings(*said)).to_pylist() == ["Padded.  Wide, too. ", "", "", "doux — 🎸"]


def test_nulls_leave_no_stray_separators() -> None:
    choices = list(product([None, "One."], repeat=4))
    columns = [strings(*(choice[n] for choice in choices)) for n in range(4)]
    for text in render_personas(*columns).to_pylist():
        assert text == text.strip()
        assert "  " not in text
        assert not text.startswith(". ")
        assert text.count("One.") == text.replace(".", "").count("One")


def test_rows_do_not_mix() -> None:
    rendered = render_personas(strings("A", None), strings(None, "b."), strings("s.", "t."), strings(None, None))
    assert rendered.to_pylist() == ["A s.", "b. t."]


def test_no_rows() -> None:
    assert len(render_interactions(strings())) == 0
    assert len(render_personas(strings(), strings(), strings(), strings())) == 0


def test_content() -> None:
    assert render_content(strings("Clip-on tuner", "", None)).to_pylist() == ["Clip-on tuner", "", ""]
    lists = pa.array([["Music", "Tuners"], ["Music"], []], pa.list_(pa.string()))
    assert render_content(lists).to_pylist() == ["Music, Tuners", "Music", ""]
