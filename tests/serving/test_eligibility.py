"""What a release may not recommend stays out of `top`, scores -inf, and says why."""

from io import StringIO

import numpy as np
import pytest
import served
from rich.console import Console

from persona_pipeline.commands.recommendations_console import show_why
from persona_pipeline.serving import Recommendations
from persona_pipeline.serving.eligibility import Eligibility

BLOCKS = [
    ("nobody", "item", "capo"),
    ("eve", "category", "Music"),
    ("ana", "creator", "Fender"),
    ("ana", "item", "capo"),
    ("dan", "category", "Elsewhere"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Recommendations:
    """The picks are recalled, the tuner is by Fender, and the strap is no music."""
    made = served.encoder()
    tables = served.tables(made)
    for row in tables["items"]:
        if row["item_id"] == "picks":
            row |= {"available": False, "unavailable_reason": "recalled"}
        row["creator"] = "Fender" if row["item_id"] == "tuner" else row["creator"]
        row["categories"] = ["Straps"] if row["item_id"] == "strap" else ["Music"]
    tables["blocks"] = [{"user_id": user, "kind": kind, "value": value} for user, kind, value in BLOCKS]
    return Recommendations(served.serve(tmp_path_factory.mktemp("rules"), tables, made).root)


def test_whoever_blocks_something_gets_the_default_list_without_it(shop: Recommendations) -> None:
    everybodys = [row.item_id for row in shop.top("anyone")]
    assert everybodys == ["strap", "capo", "tuner", "strings"]
    found = shop.top("nobody")
    assert [(row.rank, row.item_id) for row in found] == [(1, "strap"), (2, "tuner"), (3, "strings")]
    assert shop.top("eve") == []  # who has reviewed the strap, and wants no music


def test_what_may_not_be_recommended_scores_less_than_everything(shop: Recommendations) -> None:
    items = ["picks", "tuner", "capo", "strings", "harp"]
    assert shop.ineligible("ana", items) == ["recalled", "blocked", "blocked", None, None]
    assert shop.ineligible("dan", items) == ["recalled", None, None, None, None]
    scores = shop.score("ana", items)
    assert scores[:3].tolist() == [-np.inf] * 3
    assert np.isfinite(scores[3])
    assert np.isnan(scores[4])
    assert np.isfinite(shop.score("dan", items)[1:4]).all()
    assert shop.score("nobody", items)[[0, 2]].tolist() == [-np.inf] * 2  # without a history, too


def test_why_says_that_an_item_is_not_recommended(shop: Recommendations) -> None:
    found = shop.why("ana", "tuner")
    assert found.ineligible == "blocked"
    assert np.isfinite(found.score)  # what it would be
    assert shop.why("ana", "strings").ineligible is None
    shown = StringIO()
    show_why(shop, "dan", "picks", Console(file=shown, width=200))
    assert "not recommended: recalled" in shown.getvalue()


def test_a_release_from_before_there_were_blocks(shop: Recommendations) -> None:
    snapshot = shop._snapshot
    rules = Eligibility(snapshot.table, lambda name: name != "blocks", 8)
    assert rules.reasons("ana", ["picks", "tuner"]) == ["recalled", None]
