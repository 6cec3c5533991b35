"""Answer a web service from one release, at its table versions, with pyarrow and delta-rs only.

`top` needs nothing else. `score` and `why` also need numpy, scipy and the encoder's artefact, loaded at the first
call. Nothing here imports Spark, DuckDB, pandas or torch.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from persona_pipeline.publish.releases import Release
from persona_pipeline.serving.records import Recommendation, Why
from persona_pipeline.serving.release_snapshot import ReleaseSnapshot, erasures, release_row
from persona_pipeline.warehouse import Warehouse


class Recommendations:
    """Recommendations of one release, by user.

        recommendations = Recommendations("warehouse")
        for row in recommendations.top("u1", 10):
            print(row.rank, row.item_title, row.explanation)

    All answers come from the release that was served when the object was made, at its table versions, also while a night is
    writing; `refresh` switches to a newer release between two answers. Any number of threads may ask at once.

    Args:
        warehouse: folder of the Delta tables.
        release: a release, or its id, which is then stayed with; the served one by default.
        users_held: users whose vectors `score` and `why` keep, the last ones asked about; some 60 kB each.

    Raises:
        PipelineError: nothing has been published.
        ReleaseError: there is no published release of that id.
    """

    def __init__(
        self, warehouse: Warehouse | Path | str, release: Release | str | None = None, users_held: int = 1_024
    ) -> None:
        self._root = warehouse.root if isinstance(warehouse, Warehouse) else Path(warehouse)
        self._named = release.release_id if isinstance(release, Release) else release
        self._users_held = users_held
        self._refreshing = threading.Lock()
        self._snapshot = ReleaseSnapshot(self._root, release_row(self._root, self._named), users_held)

    @property
    def release(self) -> Release:
        """The release that answers come from."""
        return self._snapshot.release

    def refresh(self) -> bool:
        """Switch to the release that is served now; returns whether anything is another. A release given by name is kept.

        After an erasure the same release is opened again, so that nothing of those people stays in memory.

        Calls in progress end on the release they began with, and none waits: vectors that are in use are read before
        switching, so for that moment both releases' are in memory. Call it from a timer.
        """
        with self._refreshing:
            complete = erasures(self._root) == self._snapshot.erasures
            if complete and self._named is not None:
                return False
            row = release_row(self._root, self._named)
            if complete and row["release_id"] == self._snapshot.release.release_id:
                return False
            snapshot = ReleaseSnapshot(self._root, row, self._users_held)
            snapshot.read_what(self._snapshot)
            self._snapshot = snapshot
            return True

    def top(self, user_id: str, k: int = 10) -> list[Recommendation]:
        """The user's best items, at most `k`, best first, by reading only the few rows that can be the user's.

        A user without a list gets the popularity list, less reviewed items (where the release leaves those out);
        `recommendation_source` names the fallback level of a row (`serving.records`).
        """
        return self._snapshot.top(user_id, k)

    def score(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        """Score any items, (n,) float64 in the order given: the scores of `user_item_topk`, computed from the stored vectors.

        An item without a persona in this release is NaN. For a user without a usable history the scores are those of
        `default_topk`, by popularity alone.
        """
        return self._snapshot.online.scores(user_id, item_ids)

    def source(self, user_id: str) -> str:
        """Fallback level of `score` for the user: persona, unusable_history or unknown_user."""
        return self._snapshot.source(user_id)

    def why(self, user_id: str, item_id: str) -> Why:
        """Explain a recommendation with all its sources; also an item that is not in the user's list, scored online.

        Raises PipelineError for an item without a persona in this release.
        """
        from persona_pipeline.serving.explain import why

        return why(self._snapshot, user_id, item_id)
