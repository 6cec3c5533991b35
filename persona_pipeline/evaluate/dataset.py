"""Build the evaluation data of a backtest from `reviews` and `interactions` of its nights: test users, targets, what is known."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.core.interactions import met_sql
from persona_pipeline.evaluate.metrics import RelevantItems
from persona_pipeline.evaluate.slices import Slice, make_slices
from persona_pipeline.warehouse import Warehouse

_IN_TIME_ORDER = f"""
SELECT user_id, item_id, date_diff('day', DATE '1970-01-01', (occurred_at AT TIME ZONE 'UTC')::DATE) AS day
FROM ({met_sql()}) ORDER BY occurred_at, source_file, source_line, interaction_id
"""


@dataclass(frozen=True, slots=True)
class EvaluationDataset:
    """Known interactions and targets. Items are indices into one catalogue, that of every interaction and all metadata.

    Attributes:
        user_ids: (users,) evaluation users, sorted.
        truth: their withheld items.
        tuning: interactions known while tuning; every interaction counts, whatever its rating or weight.
        validation: rows of `tuning.user_ids` and items, the interactions to tune on, (n,) each.
        test: interactions known at test time.
    """

    user_ids: np.ndarray
    truth: RelevantItems
    tuning: Interactions
    validation: tuple[np.ndarray, np.ndarray]
    test: Interactions

    @property
    def item_ids(self) -> np.ndarray:
        """The catalogue, (items,), sorted."""
        return self.test.item_ids

    @property
    def users(self) -> np.ndarray:
        """Rows of `test.user_ids` of the evaluation users, (users,)."""
        return np.searchsorted(self.test.user_ids, self.user_ids)

    def slices(self) -> dict[str, Slice]:
        """Slices of users and targets by their training interactions."""
        met = np.bincount(self.test.users, minlength=len(self.test.user_ids))
        return make_slices(self.truth, met[self.users], self.test.counts())


def make_dataset(
    everything: Warehouse, tuning: Warehouse, test: Warehouse, validation: pa.Table, truth: pa.Table
) -> EvaluationDataset:
    """Build the dataset from `reviews` and `interactions` of the nights.

    Args:
        everything: the warehouse without any hold-out; its `items` are the catalogue.
        tuning, test: the nights; every user of `validation` and of `truth` is known there.
        validation, truth: user_id and item_id of the interactions to predict.
    """
    catalogue = _texts(everything.query("SELECT item_id FROM items", ["items"])["item_id"])
    known = [_interactions(night, catalogue) for night in (tuning, test)]
    wanted = truth.sort_by([("user_id", "ascending"), ("item_id", "ascending")])
    user_ids, sizes = np.unique(_texts(wanted["user_id"]), return_counts=True)
    items = np.searchsorted(known[1].item_ids, _texts(wanted["item_id"]))
    rows = np.searchsorted(known[0].user_ids, _texts(validation["user_id"]))
    asked = np.searchsorted(known[0].item_ids, _texts(validation["item_id"]))
    return EvaluationDataset(user_ids, RelevantItems(items, offsets_of(sizes)), known[0], (rows, asked), known[1])


def _interactions(night: Warehouse, catalogue: np.ndarray) -> Interactions:
    found = night.query(_IN_TIME_ORDER, ["reviews", "interactions"])
    return Interactions.build(_texts(found["user_id"]), _texts(found["item_id"]), found["day"].to_numpy(), catalogue)


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    texts: np.ndarray = column.to_numpy(zero_copy_only=False).astype(str)
    return texts
