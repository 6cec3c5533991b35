"""Every text of a night embedded, once, by one base."""

from pathlib import Path
from typing import Any

from embedded import REVIEWS_ALONE, StandIn, keyed_by
from helpers import BASE_MODEL, put_all, shop

from persona_pipeline.encoder.embed_texts import embed_everything
from persona_pipeline.encoder.item_embeddings import profile_model
from persona_pipeline.encoder.training_data import training_data
from persona_pipeline.warehouse import Warehouse


def embedded(warehouse: Warehouse, bucket_bytes: int = 2**26) -> dict[str, Any]:
    with keyed_by(warehouse, bucket_bytes) as keyed:
        return embed_everything(keyed, StandIn(warehouse), 4.0, REVIEWS_ALONE)


def test_what_an_encoder_reads_is_embedded_once(tmp_path: Path) -> None:
    warehouse, tables = Warehouse(tmp_path), shop()
    put_all(warehouse, {table: rows for table, rows in tables.items() if table != "text_embeddings"})
    # Six personas, ten reviews that are evidence and, but for ben's two stars, interactions as well; four titles and one
    # category of five items.
    assert embedded(warehouse) == {
        "texts": 21,
        "embedded": 21,
        "new_profiles": 5,
    }
    models = warehouse.read("text_embeddings")["base_model"].to_pylist()
    assert (models.count(BASE_MODEL), models.count(profile_model(BASE_MODEL))) == (21, 5)
    assert embedded(warehouse) == {
        "texts": 21,
        "embedded": 0,
        "new_profiles": 0,
    }
    assert training_data(warehouse, BASE_MODEL, 4.0, REVIEWS_ALONE).pairs.num_rows == 2
