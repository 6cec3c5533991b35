"""The job `persona_vectors` on the shop, by an encoder that changes nothing: an item's profile and a tenth of the persona."""

import numpy as np
import pytest
from fixture_engine import WordCounts, embed
from helpers import Row, put, reviews, shop
from one_run import kept, opened, without, written

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.warehouse import Warehouse

TOLD = "Home strummers. Home strummers who know what they want. Nylon picks, pack of 12. For guitar players. "


def unit(vector: np.ndarray) -> np.ndarray:
    found: np.ndarray = vector / np.linalg.norm(vector)
    return found


def test_a_persona_lies_beside_its_item(warehouse: Warehouse) -> None:
    run = opened(without(warehouse, "persona_vectors"))
    run.settle_on("enc1")
    summary = run.do("persona_vectors")
    assert (summary["vectors"], summary["encoded"], summary["encoder_id"]) == (6, 6, "enc1")
    assert written(summary) == {"persona_vectors": (6, 0, 0)}
    rows = {row["persona_id"]: row for row in kept(warehouse, "persona_vectors")}
    assert {len(row["vector"]) for row in rows.values()} == {WordCounts.dimensions}
    said = unit(embed([row["text"] for row in reviews() if row["item_id"] == "picks"]).mean(0))
    profile = unit(said + embed(["Nylon picks, pack of 12"])[0])
    own = embed([f"{TOLD}It suits home strummers."])[0]
    assert np.allclose(rows["picks-5"]["vector"], unit(profile + 0.1 * own), atol=1e-6)
    assert (rows["picks-5"]["item_id"], rows["picks-5"]["encoder_id"]) == ("picks", "enc1")
    assert run.again("persona_vectors")["encoded"] == 0


@pytest.mark.parametrize("change", [{"status": "retired", "position": 0}, {"stance": "dislikes"}])
def test_who_is_gone_or_dislikes_the_item_has_none(warehouse: Warehouse, change: Row) -> None:
    put(
        warehouse,
        "item_personas",
        [{**row, **change} if row["item_id"] == "picks" else row for row in shop()["item_personas"]],
    )
    run = opened(warehouse)
    run.settle_on("enc1")
    run.do("persona_vectors")
    found = {row["persona_id"] for row in kept(warehouse, "persona_vectors")}
    assert found == {"strap-1", "strap-2", "tuner-3", "capo-4", "strings-6"}


def test_before_an_encoder_is_chosen_there_is_nothing_to_encode_by(warehouse: Warehouse) -> None:
    run = opened(warehouse)
    with pytest.raises(PipelineError, match=r"no encoder has been chosen in run .*; run the encoders task first"):
        run.do("persona_vectors")
    run.settle_on("enc0")
    with pytest.raises(PipelineError, match="there is no encoder enc0"):
        run.do("persona_vectors")
