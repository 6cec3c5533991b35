"""How much each interaction of a history counts, and how much its length."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import EncodersConfig


def history_weights(distances: np.ndarray, lengths: np.ndarray, half_life: float) -> np.ndarray:
    """Weights 0.5 ** (distance / half_life) of histories that lie one after the other, (n,), those of each summing to one.

    Serving predicts what comes after the newest interaction, so there it is recency; training predicts one in the
    middle from those on either side.

    Args:
        distances: (n,) of their entries, in interactions or in days; 0 is next to what is predicted.
        lengths: (histories,) entries of each, n in all.
        half_life: in the unit of the distances.
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    # From the nearest on, or a short half-life would leave a history far away with no weight at all.
    nearest = np.full(len(lengths), np.inf)
    np.minimum.at(nearest, owners, distances)
    weights = 0.5 ** ((distances - nearest[owners]) / half_life)
    normalised: np.ndarray = weights / np.bincount(owners, weights, minlength=len(lengths))[owners]
    return normalised


def weighted_histories(
    pairs: pa.Table, interactions: pa.Table, config: EncodersConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Histories of rows of `training_pairs`, one after the other: what the head and a fine-tune of the base are given.

    `interactions` (r,) are review_id and day of all in histories. Returns lengths (pairs,), and of each entry its row
    in `interactions` and its weight, those of a pair summing to one.
    """
    histories = pairs["history_review_ids"].combine_chunks()
    lengths = pc.list_value_length(histories).to_numpy(zero_copy_only=False)
    reviews = interactions["review_id"].combine_chunks()
    members = pc.index_in(histories.flatten(), reviews).to_numpy(zero_copy_only=False)
    if config.recency == "rank":
        distances = places_apart(lengths, pairs["history_place"].to_numpy(zero_copy_only=False))
    else:
        days = interactions["day"].to_numpy(zero_copy_only=False)
        distances = np.abs(days[members] - seconds_of(pairs).repeat(lengths) / 86_400)
    return lengths, members, history_weights(distances, lengths, config.half_life)


def examples_of(pairs: pa.Table, config: EncodersConfig) -> pa.Table:
    """Rows of `training_pairs` with the part of their history that examples are told of: `training_histories`."""
    if config.training_histories == "both":
        return pairs
    histories = pairs["history_review_ids"].combine_chunks()
    lengths = pc.list_value_length(histories).to_numpy(zero_copy_only=False)
    places = pairs["history_place"].to_numpy(zero_copy_only=False)
    return shortened(pairs, ranks(lengths) >= np.repeat(places, lengths))


def shortened(pairs: pa.Table, kept: np.ndarray) -> pa.Table:
    """Rows of `training_pairs` with part of their histories; one that has no history left is no pair.

    `kept` says of the histories' entries, one after the other, which stay, (n,) bool.
    """
    histories = pairs["history_review_ids"].combine_chunks()
    owners = pc.list_parent_indices(histories).to_numpy(zero_copy_only=False)
    places = pairs["history_place"].to_numpy(zero_copy_only=False)
    newer = ranks(np.bincount(owners, minlength=len(pairs))) < places[owners]
    left = np.bincount(owners[kept], minlength=len(pairs))
    offsets = pa.array(np.concatenate([[0], np.cumsum(left)]).astype(np.int32))
    columns = {
        "history_review_ids": pa.ListArray.from_arrays(offsets, histories.flatten().filter(pa.array(kept))),
        "history_place": pa.array(np.bincount(owners[kept & newer], minlength=len(pairs)).astype(np.int32)),
    }
    for name, values in columns.items():
        pairs = pairs.set_column(pairs.schema.get_field_index(name), name, values)
    return pairs.filter(pa.array(left > 0))


def seconds_of(pairs: pa.Table) -> np.ndarray:
    """When each pair's target was reviewed, (n,), in seconds since 1970."""
    moments: np.ndarray = pairs["reviewed_at"].to_numpy(zero_copy_only=False).astype("datetime64[s]").astype(np.int64)
    return moments


def ranks(lengths: np.ndarray) -> np.ndarray:
    """How many interactions of the same history came after each of n, (n,), of histories (h,), newest first."""
    found: np.ndarray = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return found


def places_apart(lengths: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How many interactions lie between each entry of histories and what is predicted from them, (n,).

    Args:
        lengths: (histories,) entries of each, newest first, n in all.
        places: (histories,) how many entries of each are newer than what is predicted.
    """
    others, place = ranks(lengths), np.repeat(places, lengths)
    distances: np.ndarray = np.where(others < place, place - others - 1, others - place)
    return distances


def popularity_scales(lengths: np.ndarray, support: float) -> np.ndarray:
    """1 + support / length of each history (n,): who has told little of themselves gets more of what everybody likes."""
    scales: np.ndarray = 1 + support / np.maximum(lengths, 1)
    return scales
