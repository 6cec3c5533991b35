"""Training data of worlds made up on the spot, without a warehouse: who met what, and what every item is like."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from helpers import arrow

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.encoder.training_data import TrainingData

START = datetime(2024, 1, 1, tzinfo=UTC)


def training_world(
    met: Mapping[str, Sequence[str]], profiles: Mapping[str, np.ndarray]
) -> tuple[TrainingData, Interactions]:
    """`met` holds each user's items, newest first, one a day; `profiles` each item's unit vector, its one persona's text too."""
    pairs = [
        {
            "user_id": user, "item_id": item, "interaction_id": f"{user}-{item}", "persona_id": f"{item}-1",
            "label_source": "similarity", "masked_persona_ids": [], "reviewed_at": START - timedelta(days=place),
            "history_interaction_ids": [f"{user}-{other}" for other in items if other != item], "history_place": place,
            "weight": 1.0,
        }
        for user, items in met.items()
        for place, item in enumerate(items)
        if len(items) > 1
    ]  # fmt: skip
    rows = [
        (user, f"{user}-{item}", item, START.timestamp() / 86_400 - place)
        for user, items in sorted(met.items())
        for place, item in enumerate(items)
    ]
    catalogue = sorted(profiles)
    vectors = np.stack([profiles[item] for item in catalogue]).astype(np.float32)
    place_of = {item: place for place, item in enumerate(catalogue)}
    data = TrainingData(
        arrow("training_pairs", pairs),
        pa.table({"persona_id": [f"{item}-1" for item in catalogue], "item_id": catalogue}),
        vectors,
        vectors,
        pa.table(
            {name: [row[n] for row in rows] for n, name in enumerate(("user_id", "interaction_id", "item_id", "day"))}
            | {"weight": [1.0] * len(rows)}
        ),
        vectors[[place_of[item] for _, _, item, _ in rows]],
        {item: sum(item in items for items in met.values()) for item in catalogue},
    )
    oldest_first = [(user, item, -place) for user, items in met.items() for place, item in enumerate(items)][::-1]
    users, items, days = zip(*oldest_first, strict=True)
    return data, Interactions.build(users, items, days)
