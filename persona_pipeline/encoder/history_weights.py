"""Weight the interactions of a history by time decay, select the part a training example uses, and scale popularity by length."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.arrays import offsets_of


def history_weights(
    distances: np.ndarray, lengths: np.ndarray, half_life: float, strengths: np.ndarray | None = None
) -> np.ndarray:
    """Compute weights 0.5 ** (distance / half_life) x strength of concatenated histories, (n,), each history's summing to one.

    At serving time the distance is measured from the newest interaction (recency); in training from the held-out
    target, which may lie in the middle of the history.

    Args:
        distances: (n,) of the entries, in interactions or in days; 0 is next to the predicted interaction.
        lengths: (histories,) entries of each, n in all.
        half_life: in the unit of the distances.
        strengths: (n,) above 0, how much each entry says whenever it was; None: all alike.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    # From the nearest on, or a short half-life would leave a history far away with no weight at all.
    nearest = np.full(len(lengths), np.inf)
    np.minimum.at(nearest, owners, distances)
    weights = 0.5 ** ((distances - nearest[owners]) / half_life)
    weights = weights if strengths is None else weights * strengths
    normalised: np.ndarray = weights / np.bincount(owners, weights, minlength=len(lengths))[owners]
    return normalised


def weighted_histories(
    pairs: pa.Table, interactions: pa.Table, config: EncodersConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight the concatenated histories of rows of `training_pairs`, as the head and a fine-tune of the base use them.

    `interactions` (r,) are interaction_id, weight and day of all history entries. Returns lengths (pairs,), and of each
    entry its row in `interactions` and its weight, those of a pair summing to one.
    """
    histories = pairs["history_interaction_ids"].combine_chunks()
    lengths = pc.list_value_length(histories).to_numpy(zero_copy_only=False)
    known = interactions["interaction_id"].combine_chunks()
    members = pc.index_in(histories.flatten(), known).to_numpy(zero_copy_only=False)
    if config.recency == "rank":
        distances = places_apart(lengths, pairs["history_place"].to_numpy(zero_copy_only=False))
    else:
        days = interactions["day"].to_numpy(zero_copy_only=False)
        distances = np.abs(days[members] - seconds_of(pairs).repeat(lengths) / 86_400)
    strengths = interactions["weight"].to_numpy(zero_copy_only=False)[members]
    return lengths, members, history_weights(distances, lengths, config.half_life, strengths)


def examples_of(pairs: pa.Table, config: EncodersConfig) -> pa.Table:
    """Restrict rows of `training_pairs` to the part of their history that training examples use: `training_histories`."""
    if config.training_histories == "both":
        return pairs
    histories = pairs["history_interaction_ids"].combine_chunks()
    lengths = pc.list_value_length(histories).to_numpy(zero_copy_only=False)
    places = pairs["history_place"].to_numpy(zero_copy_only=False)
    return shortened(pairs, ranks(lengths) >= np.repeat(places, lengths))


def shortened(pairs: pa.Table, kept: np.ndarray) -> pa.Table:
    """Keep part of the histories of rows of `training_pairs`; a pair without any history left is dropped.

    `kept` (n,) bool marks the entries to keep, over the concatenated histories.
    """
    histories = pairs["history_interaction_ids"].combine_chunks()
    owners = pc.list_parent_indices(histories).to_numpy(zero_copy_only=False)
    places = pairs["history_place"].to_numpy(zero_copy_only=False)
    newer = ranks(np.bincount(owners, minlength=len(pairs))) < places[owners]
    left = np.bincount(owners[kept], minlength=len(pairs))
    offsets = pa.array(offsets_of(left).astype(np.int32))
    columns = {
        "history_interaction_ids": pa.ListArray.from_arrays(offsets, histories.flatten().filter(pa.array(kept))),
        "history_place": pa.array(np.bincount(owners[kept & newer], minlength=len(pairs)).astype(np.int32)),
    }
    for name, values in columns.items():
        pairs = pairs.set_column(pairs.schema.get_field_index(name), name, values)
    return pairs.filter(pa.array(left > 0))


def seconds_of(pairs: pa.Table) -> np.ndarray:
    """Time of each pair's target, (n,), in seconds since 1970."""
    moments: np.ndarray = pairs["reviewed_at"].to_numpy(zero_copy_only=False).astype("datetime64[s]").astype(np.int64)
    return moments


def ranks(lengths: np.ndarray) -> np.ndarray:
    """Rank of each entry in its history, (n,): the number of newer entries, for concatenated histories (h,), newest first."""
    found: np.ndarray = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return found


def places_apart(lengths: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Number of interactions between each history entry and the predicted interaction, (n,).

    Args:
        lengths: (histories,) entries of each, newest first, n in all.
        places: (histories,) number of entries of each that are newer than the predicted interaction.
    """
    others, place = ranks(lengths), np.repeat(places, lengths)
    distances: np.ndarray = np.where(others < place, place - others - 1, others - place)
    return distances


def popularity_scales(lengths: np.ndarray, support: float) -> np.ndarray:
    """Factor 1 + support / length of the popularity term for each history (n,): short histories rely on popularity more."""
    scales: np.ndarray = 1 + support / np.maximum(lengths, 1)
    return scales
