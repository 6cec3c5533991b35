"""Compute the true preference of any user for any item on any day from the truth files: the ceiling for recommenders.

Uses the same `ChoiceModel` that drew the choices, with the same rounded numbers, so it is exact, not an estimate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.synthetic.choices import ChoiceModel
from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.files import CONFIG, TRUTH, read_rows


class Oracle:
    """True preferences of a world's users."""

    def __init__(self, folder: Path | str) -> None:
        """`folder` is what `write` made; only `truth/` is read. Raises SourceError where it is missing."""
        truth = Path(folder) / TRUTH
        personas, items, users = (read_rows(truth / f"{name}.jsonl") for name in ("personas", "items", "users"))
        self.config = SyntheticConfig.model_validate_json((truth / CONFIG).read_text(encoding="utf-8"))
        column = {row["persona_id"]: p for p, row in enumerate(personas)}
        self._item = {row["item_id"]: i for i, row in enumerate(items)}
        self._user = {row["user_id"]: u for u, row in enumerate(users)}
        self._mixture = _shares([row["mixture"] for row in users], column)
        self._later = _shares([(row["drift"] or row)["mixture"] for row in users], column)
        self._drift_day = np.array([row["drift"]["day"] if row["drift"] else np.iinfo(np.int64).max for row in users])
        self._model = ChoiceModel(
            weights=_shares(
                [{entry["persona_id"]: entry["weight"] for entry in row["personas"]} for row in items], column
            ),
            eligible=np.array([[row["category"] in persona["categories"] for persona in personas] for row in items]),
            popularity=np.array([row["base_popularity"] for row in items]),
            launch_day=np.array([row["launch_day"] for row in items]),
            popularity_exponent=self.config.popularity_exponent,
            impulse_share=self.config.impulse_share,
        )

    @property
    def item_ids(self) -> tuple[str, ...]:
        """All items, in the order of the files."""
        return tuple(self._item)

    @property
    def user_ids(self) -> tuple[str, ...]:
        """All users, in the order of the files."""
        return tuple(self._user)

    def day_of(self, timestamp: int) -> int:
        """Day number of an epoch second (UTC); 0 is the first day of the world."""
        return (timestamp - self.config.start_timestamp) // 86_400

    def scores(self, user_ids: Sequence[str], item_ids: Sequence[str], day: int) -> npt.NDArray[np.float64]:
        """(users, items): the probability that each user's next choice on `day` is each item, seen items not left out.

        Leaving seen items out keeps the proportions. Items launched later than `day` have 0; with `day` the number of days in the
        window, the items nobody has reviewed are on sale too. Raises SourceError for an id the world does not have.
        """
        users = np.array([_known(self._user, user_id, "user") for user_id in user_ids], dtype=np.int64)
        items = np.array([_known(self._item, item_id, "item") for item_id in item_ids], dtype=np.int64)
        mixture = np.where(
            (day >= self._drift_day[users])[:, None], self._later[users], self._mixture[users]
        )  # (users, p)
        scores: npt.NDArray[np.float64] = mixture @ self._model.table(day)[:, items]
        return scores


def _known(rows: dict[str, int], key: str, kind: str) -> int:
    try:
        return rows[key]
    except KeyError:
        raise SourceError(f"synthetic truth: no {kind} {key!r} in this world") from None


def _shares(rows: list[dict[str, Any]], column: dict[str, int]) -> npt.NDArray[np.float64]:
    shares = np.zeros((len(rows), len(column)))
    for n, row in enumerate(rows):
        for persona_id, share in row.items():
            shares[n, column[persona_id]] = share
    return shares
