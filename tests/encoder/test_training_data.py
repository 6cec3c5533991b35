"""What of histories the head is trained on, where of some items nothing is known."""

import pyarrow as pa

from persona_pipeline.encoder.training_data import with_profiled_histories


def test_what_nothing_is_known_of_leaves_histories_and_the_rest_still_teaches() -> None:
    pairs = pa.table(
        {
            "interaction_id": ["mid", "old", "lone"],
            "history_interaction_ids": [["dark", "new", "old"], ["new", "dark", "mid"], ["dark"]],
            "history_place": pa.array([2, 3, 1], pa.int32()),
        }
    )
    met = pa.table({"interaction_id": ["new", "mid", "old", "lone"]})
    assert with_profiled_histories(pairs, met).to_pylist() == [
        {"interaction_id": "mid", "history_interaction_ids": ["new", "old"], "history_place": 1},
        {"interaction_id": "old", "history_interaction_ids": ["new", "mid"], "history_place": 2},
    ]
    everything = pa.table({"interaction_id": ["new", "mid", "old", "lone", "dark"]})
    assert with_profiled_histories(pairs, everything) is pairs
