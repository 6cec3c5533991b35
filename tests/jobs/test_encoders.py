"""The job `encoders` on the shop: a first night trains one, which the next ones keep."""

from datetime import timedelta

import pytest
from helpers import AS_OF, put, shop
from one_run import kept, opened, without, written
from publishing import run as publish

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.warehouse import Warehouse

SMALL = {"tuning_minutes": 0, "steps": 2, "batch_size": 2, "heads": 1}


def test_a_first_night_trains(warehouse: Warehouse) -> None:
    run = opened(without(warehouse, "encoders"), encoders=SMALL, training_pairs={"min_liked_rating": 4.0})
    summary = run.do("encoders")
    assert summary["trained"]
    assert (summary["reason"], summary["verdict"]) == ("there is no encoder yet", "first")
    assert written(summary) == {"encoders": (1, 0, 0)}
    (row,) = kept(warehouse, "encoders")
    assert (row["encoder_id"], row["as_of"], row["pair_count"]) == (summary["encoder_id"], AS_OF, 2)
    assert (row["dimensions"], row["base_model"]) == (512, summary["base_model"])
    made = Encoder.load(warehouse.root / row["artefact"])
    assert (made.encoder_id, made.config.steps) == (row["encoder_id"], 2)
    # Of the two who had the picks one liked them.
    assert made.liked_counts == {"capo": 2, "picks": 1, "strap": 2, "strings": 2, "tuner": 2}
    told = {metric["name"]: metric["value"] for metric in row["metrics"]}
    assert told
    assert {name: summary[name] for name in told} == told
    again = run.again("encoders")
    assert (again["trained"], again["encoder_id"]) == (False, row["encoder_id"])
    assert again["reason"] == "already trained by an earlier attempt at this night"


def test_the_next_night_keeps_what_is_served(warehouse: Warehouse) -> None:
    trained = opened(without(warehouse, "encoders"), encoders=SMALL).do("encoders")["encoder_id"]
    (row,) = kept(warehouse, "encoders")
    put(warehouse, "encoders", [{**row, "encoder_id": "enc1"}])  # what the release names
    publish(warehouse)
    summary = opened(warehouse, as_of=AS_OF + timedelta(days=1), encoders=SMALL).again("encoders")
    assert (summary["trained"], summary["encoder_id"]) == (False, "enc1")
    assert trained != "enc1"


def test_one_pair_is_too_few(warehouse: Warehouse) -> None:
    put(without(warehouse, "encoders"), "training_pairs", shop()["training_pairs"][:1])
    with pytest.raises(PipelineError, match=r"only 1 training pairs: .*user_histories and item_personas"):
        opened(warehouse, encoders=SMALL).do("encoders")
    assert not warehouse.exists("encoders")
