"""Everything behind a recommendation, in the list or not, for anyone."""

from io import StringIO
from pathlib import Path

import pytest
import served
from helpers import AS_OF, Row
from rich.console import Console
from served import HOSTILE

from persona_pipeline.commands.recommendations_console import show_why
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.serving import Recommendations


@pytest.fixture(scope="module")
def shop(shop_served: Path) -> Recommendations:
    return Recommendations(shop_served)


def test_from_a_row_to_all_that_is_behind_it(shop: Recommendations) -> None:
    row = next(row for row in shop.top("cleo") if row.item_id == "strap")
    found = shop.why("cleo", "strap")
    assert (found.rank, found.score, found.explanation) == (row.rank, row.score, row.explanation)
    assert sum(share.share for share in found.contributions) == pytest.approx(found.score, abs=1e-9)
    titles = {share.item_id: share.item_title for share in found.contributions if share.kind == "interaction"}
    assert titles == {"capo": "Spring capo", "tuner": "Clip-on tuner"}
    assert found.persona.persona_id == row.persona_id
    assert found.margin is not None
    assert found.margin > 0
    assert {found.persona.name, found.runner_up} == {"Gigging players", "Proud parents"}
    (quote,) = found.quotes
    assert quote.text is not None
    assert quote.span.quote in quote.text
    assert (quote.rating, found.persona.extractor_version) == (5.0, "embedded-1")
    assert (found.encoder_id, found.release_id, found.persona.model) == ("enc1", "2024-06-30-a", found.base_model)


def test_an_item_outside_the_list_is_scored_online(shop: Recommendations) -> None:
    assert "strap" not in {row.item_id for row in shop.top("ana")}  # she has it
    found = shop.why("ana", "strap")
    assert found.rank is None
    assert found.score == shop.score("ana", ["strap"])[0]
    assert sum(share.share for share in found.contributions) == pytest.approx(found.score, abs=1e-9)
    assert found.explanation == f"{found.persona.rationale.removesuffix('.')}: “{found.quotes[0].span.quote}”"


def test_a_listed_item_is_explained_online_as_the_night_did(shop: Recommendations) -> None:
    listed = shop.top("dan")
    for row in listed:
        told = shop._snapshot.online.told("dan", row.item_id).to_pylist()[0]
        assert told["persona_id"] == row.persona_id
        assert [(c["kind"], c["review_id"], c["share"]) for c in told["contributions"]] == [
            (c.kind, c.review_id, c.share) for c in row.contributions
        ]


def test_an_item_nobody_has_reviewed_rests_on_its_metadata(shop: Recommendations) -> None:
    found = shop.why("ana", "metronome")
    assert found.recommendation_source == "metadata_persona"
    assert (found.persona.persona_source, found.persona.model, found.margin) == ("metadata", None, None)
    assert [(quote.span.kind, quote.text) for quote in found.quotes] == [("metadata", None)]


@pytest.mark.parametrize(("user", "source"), [("eve", "unusable_history"), ("nobody", "unknown_user")])
def test_for_a_stranger_popularity_is_all(shop: Recommendations, user: str, source: str) -> None:
    found = shop.why(user, "capo")
    assert found.recommendation_source == source
    assert [(share.kind, share.share) for share in found.contributions] == [("popularity", found.score)]
    assert found.explanation == "Liked by most."  # what default_topk says
    assert shop.why(user, "metronome").rank is None


def test_an_item_without_a_persona_is_told(shop: Recommendations) -> None:
    with pytest.raises(PipelineError, match="item harp: it has no persona in release 2024-06-30-a"):
        shop.why("ana", "harp")


def test_a_review_is_given_as_it_is_and_an_explanation_inert(shop: Recommendations) -> None:
    found = shop.why("ana", "picks") if shop.why("ana", "picks").quotes else None
    assert found is not None
    found = shop.why("ben", "strings")
    assert HOSTILE in str(found.quotes[0].text)
    assert not set("<>\"'") & set(found.explanation)


CALL: Row = {
    "request_key": "k1", "stage": "item_personas", "subject_id": "strap", "model": "big@1", "max_tokens": 240,
    "temperature": 0.0, "seed": 0, "prompt_tokens": 90, "completion_tokens": 20, "finish": "stop", "outcome": "ok",
    "output": '{"name": "Gigging players"}', "system": "Several shoppers made a point.", "prompt": "[1] No pain. (5 stars)",
    "review_ids": ["ana-strap"], "asked_as_of": AS_OF,
}  # fmt: skip


@pytest.mark.parametrize("ledger", [[CALL], []])
def test_what_an_llm_wrote_comes_with_prompt_and_answer(tmp_path: Path, ledger: list[Row]) -> None:
    """By the key of the request; where the ledger is elsewhere, neither is on record."""
    made = served.encoder()
    rows = {**served.tables(made), "llm_calls": ledger}
    for row in rows["item_personas"]:
        row.update({"persona_source": "llm", "request_key": "k1"} if row["item_id"] == "strap" else {})
    shop = Recommendations(served.serve(tmp_path / "wh", rows, made))
    persona = shop.why("cleo", "strap").persona
    shown = StringIO()
    show_why(shop, "cleo", "strap", Console(file=shown, width=200))
    if ledger:
        assert persona.request is not None
        assert (persona.model, persona.request.answer) == ("big@1", CALL["output"])
        assert all(CALL[part] in shown.getvalue() for part in ("system", "prompt", "output"))
    else:
        assert (persona.model, persona.request) == (None, None)
        assert "What the model was asked" not in shown.getvalue()
