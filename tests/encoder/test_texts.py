"""Rendered texts, word for word: whoever changes one must change TEXT_VERSION, and these with it."""

from itertools import product

import pyarrow as pa
import pytest

from persona_pipeline.encoder.texts import TEXT_VERSION, render_interactions, render_personas


def strings(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def test_version_of_the_texts_below() -> None:
    assert TEXT_VERSION == "1"


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


@pytest.mark.parametrize(
    ("summary", "aspects", "text"),
    [
        (
            "Padded guitar strap.",
            ("wide straps", "a gig", "comfort", "on stage"),
            "Padded guitar strap. Looks for: wide straps Bought for: a gig Judges by: comfort Used: on stage",
        ),
        ("Padded guitar strap.", (None, None, None, None), "Padded guitar strap."),
        (
            "Padded guitar strap.",
            (None, "a gig", None, "on stage"),
            "Padded guitar strap. Bought for: a gig Used: on stage",
        ),
        (None, (None, None, "comfort", None), "Judges by: comfort"),
        (None, (None, None, None, None), ""),
    ],
)
def test_interaction(summary: str | None, aspects: tuple[str | None, ...], text: str) -> None:
    assert render_interactions(strings(summary), *(strings(aspect) for aspect in aspects)).to_pylist() == [text]


def test_nulls_leave_no_stray_separators() -> None:
    choices = list(product([None, "One."], repeat=5))
    columns = [strings(*(choice[n] for choice in choices)) for n in range(5)]
    for text in [*render_interactions(*columns).to_pylist(), *render_personas(*columns[:4]).to_pylist()]:
        assert text == text.strip()
        assert "  " not in text
        assert not text.startswith(". ")
        assert text.count("One.") == text.replace(".", "").count("One")


def test_rows_do_not_mix() -> None:
    rendered = render_personas(strings("A", None), strings(None, "b."), strings("s.", "t."), strings(None, None))
    assert rendered.to_pylist() == ["A s.", "b. t."]


def test_no_rows() -> None:
    assert len(render_interactions(strings(), strings(), strings(), strings(), strings())) == 0
