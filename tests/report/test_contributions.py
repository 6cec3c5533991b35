"""Segments and bars of a score: whatever the shares, what is shown adds up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.shop import CONTRIBUTIONS, SCORE

from persona_pipeline.report.contributions import NAMED, bars, segments

shares = st.floats(-0.5, 0.5).map(lambda x: round(x, 9))


def contribution(kind: str, share: float, n: int = 0) -> dict[str, Any]:
    return {"kind": kind, "review_id": f"r{n}", "item_id": f"i{n}", "share": share}


@given(st.lists(shares, min_size=1, max_size=25), shares, shares)
def test_segments_add_up_to_the_score(interactions: list[float], popularity: float, others: float) -> None:
    parts = [contribution("interaction", share, n) for n, share in enumerate(interactions)]
    parts += [contribution("popularity", popularity), contribution("other_personas", others)]
    score = sum(interactions) + popularity + others
    told = segments(parts, score, {})
    assert sum(part.share for part in told) == pytest.approx(score, abs=1e-6)
    assert sum(part.thousandths for part in told) == round(1000 * score)
    assert all(abs(part.thousandths - 1000 * part.share) <= 1.01 for part in told)
    assert "unexplained" not in {part.kind for part in told}
    bar = bars([told])[0]
    right = sum(piece.width for piece in bar.pieces if piece.x >= bar.zero - 1e-9)
    assert right + bar.zero == pytest.approx(100) or not any(part.share for part in told)


def test_by_hand() -> None:
    told = segments(CONTRIBUTIONS, SCORE, {"tin": "Tin"})
    assert [(part.kind, part.label, part.title, part.thousandths) for part in told] == [
        ("interaction1", "You reviewed", "Tin", 101),
        ("interaction2", "You reviewed", "Tin", 100),
        ("interaction3", "You reviewed", "Tin", 100),
        ("interactions", "2 more you reviewed", None, 201),
        ("popularity", "Liked by many people", None, 200),
        ("prior", "Met by others who met the same items", None, 80),
        ("other_personas", "Other kinds of buyers of this item", None, -50),
    ]
    assert NAMED == 3


def test_what_does_not_add_up_is_shown() -> None:
    told = segments([contribution("popularity", 0.2)], 0.5, {})
    assert [(part.kind, part.thousandths) for part in told] == [("popularity", 200), ("unexplained", 300)]


def test_a_kind_unknown_to_the_page_is_told_in_its_own_words() -> None:
    told = segments([contribution("season_ticket", 0.2)], 0.2, {})
    assert [(part.kind, part.label) for part in told] == [("other", "Season ticket")]


def test_bars_of_one_user_share_a_scale() -> None:
    long = segments([contribution("popularity", 0.8), contribution("other_personas", -0.2)], 0.6, {})
    short = segments([contribution("popularity", 0.4)], 0.4, {})
    first, second = bars([long, short])
    assert first.zero == second.zero == pytest.approx(20)
    assert [(piece.x, piece.width) for piece in first.pieces] == [pytest.approx((20, 80)), pytest.approx((0, 20))]
    assert [(piece.x, piece.width) for piece in second.pieces] == [pytest.approx((20, 40))]
