"""The variants ablations.py holds against the default: each a change of training data and settings."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.backtest.ablations import Change, Changed, mean_persona, settings
from persona_pipeline.collaborative.content import unit
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.history_weights import places_apart, shortened
from persona_pipeline.encoder.training_data import TrainingData

_EVER = 1e9  # interactions: a half-life beyond any history


@dataclass(frozen=True)
class Variant:
    """A change; `newest` interactions are all that is served from, `log_q` whether the loss corrects for popularity."""

    change: Change
    newest: int | None = None
    log_q: bool = True


def default(data: TrainingData, config: EncodersConfig) -> Changed:
    """No change."""
    return data, config


def variants(reviews: dict[str, np.ndarray]) -> dict[str, Variant]:
    """Every variant that is trained, the default first. `reviews` are vectors of the reviews' own texts by review id."""
    changes: dict[str, Change] = {
        **{f"half-life {h:g}": settings(half_life=h) for h in (1.0, 3.0, 5.0, 10.0)},
        **{f"half-life {d:g} days": settings(half_life=d, recency="days") for d in (30.0, 180.0, 720.0)},
        "half-life none": settings(half_life=_EVER),
        "earlier interactions only": settings(training_histories="earlier"),
        "interactions on either side": settings(training_histories="both"),
        "temperature not learned": settings(temperature_learning_rate=0.0),
        **{f"title weight {w:g}": settings(title_weight=w) for w in (0.0, 1.0, 2.0, 4.0)},
        "examples do not age": settings(age_half_life_days=0.0),
        "mean persona vector": mean_persona,
        "one vector per item (weight 0)": settings(persona_weight=0.0),
        **{f"persona weight {w:g}": settings(persona_weight=w) for w in (0.25, 0.5, 1.0)},
        "persona text alone": text_alone,
        "max over personas": settings(aggregation="max"),
        "own review for the profile": lambda data, config: (own_reviews(data, reviews), config),
        **{f"temperature {t:g}": settings(temperature=t) for t in (0.05, 0.2)},
        "3 heads averaged": settings(heads=3),
        "labelled persona alone": labelled_alone,
        "control: random items": random_items,
        "control: shuffled items": shuffled_items,
    }
    return {
        "default": Variant(default),
        **{f"history of {n}": Variant(nearest(n), newest=n) for n in (1, 3)},
        **{name: Variant(change) for name, change in changes.items()},
        "no logQ correction": Variant(default, log_q=False),
    }


def nearest(count: int) -> Change:
    """Training on so many interactions next to the target, on either side."""

    def cut(data: TrainingData, config: EncodersConfig) -> Changed:
        lengths = pc.list_value_length(data.pairs["history_interaction_ids"]).to_numpy()
        near = places_apart(lengths, data.pairs["history_place"].to_numpy(zero_copy_only=False)) < count
        return replace(data, pairs=shortened(data.pairs, near)), config

    return cut


def text_alone(data: TrainingData, config: EncodersConfig) -> Changed:
    """Personas without the profile of their item."""
    nothing = np.zeros_like(data.persona_profiles)
    return replace(data, persona_profiles=nothing), config.model_copy(update={"persona_weight": 1.0})


def own_reviews(data: TrainingData, reviews: dict[str, np.ndarray]) -> TrainingData:
    """What a user wrote of an item stands for it in the history, not what all did."""
    vectors = np.stack([reviews[review] for review in data.interactions["interaction_id"].to_pylist()])
    return replace(data, interaction_profiles=vectors)


def labelled_alone(data: TrainingData, config: EncodersConfig) -> Changed:
    """The target counts by the persona the pair is labelled with: the others are hidden from it."""
    members = data.personas.group_by("item_id").aggregate([("persona_id", "list")])
    told = members["persona_id_list"].take(pc.index_in(data.pairs["item_id"], members["item_id"].combine_chunks()))
    labels = data.pairs["persona_id"].to_pylist()
    hidden = [[p for p in all_ if p != label] for all_, label in zip(told.to_pylist(), labels, strict=True)]
    return replace(data, pairs=_with_column(data.pairs, "masked_persona_ids", hidden)), config


def random_items(data: TrainingData, config: EncodersConfig) -> Changed:
    """An item is a vector that says nothing but which item it is."""
    items, mine, met = _items(data)
    vectors = unit(np.random.default_rng(0).standard_normal((len(items), data.persona_texts.shape[1])))
    vectors = vectors.astype(np.float32)
    nothing = np.zeros_like(data.persona_texts)
    return replace(
        data, persona_profiles=vectors[mine], interaction_profiles=vectors[met], persona_texts=nothing
    ), config


def shuffled_items(data: TrainingData, config: EncodersConfig) -> Changed:
    """An item is told by another's reviews, in histories and as a target alike, and its personas by anyone's."""
    items, mine, met = _items(data)
    profiles = np.zeros((len(items), data.persona_texts.shape[1]), np.float32)
    profiles[met], profiles[mine] = data.interaction_profiles, data.persona_profiles
    rng = np.random.default_rng(0)
    dealt = profiles[rng.permutation(len(items))]
    texts = data.persona_texts[rng.permutation(len(mine))]
    return replace(data, persona_profiles=dealt[mine], interaction_profiles=dealt[met], persona_texts=texts), config


def _items(data: TrainingData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items, sorted, and which of them each persona and each interaction is of."""
    columns = [
        table["item_id"].to_numpy(zero_copy_only=False).astype(str) for table in (data.personas, data.interactions)
    ]
    items = np.unique(np.concatenate(columns))
    mine, met = (np.searchsorted(items, column) for column in columns)
    return items, mine, met


def _with_column(table: pa.Table, name: str, rows: list[object] | list[list[object]] | list[int]) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return table.set_column(place, field, pa.array(rows, field.type))
