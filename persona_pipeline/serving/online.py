"""Score any items for any user online, from the vectors a release stores, with the same result as its run.

Held in memory: the personas' vectors, and the embeddings of items that may occur in a history, 4 x d bytes each; of the
users scored last, each interaction's term of their vectors, 8 x d bytes an interaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.vectors import vectors_of
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.item_embeddings import profile_model
from persona_pipeline.score.contributions import UserSums, explain, score_items
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.serving.table_snapshot import TableSnapshot


@dataclass(frozen=True, slots=True)
class Nearest:
    """A user's nearest persona of an item, its lead over the second in cosine, and the second's name."""

    persona_id: str
    margin: float | None
    runner_up: str | None


class Online:
    """One encoder's vectors at the versions of a release. Thread-safe."""

    def __init__(
        self,
        root: Path,
        encoder_id: str,
        table: Callable[[str], TableSnapshot],
        users_held: int,
        fused_weight: float | None = None,
    ) -> None:
        """Load the encoder and its vectors.

        `fused_weight` is `user_item_topk.candidates_weight` where the release fused another recommender's lists.
        """
        found = table("encoders").rows("encoder_id", [encoder_id], ["artefact"])
        if not found.num_rows:
            raise PipelineError(f"there is no encoder {encoder_id} in the table encoders of {root}")
        self.encoder = Encoder.load(root / found["artefact"][0].as_py())
        personas = table("persona_vectors").rows("encoder_id", [encoder_id])
        self._fused = fused_weight is not None
        self._ranking = RankingInputs.of(self.encoder, personas, 0, 0, candidates_weight=fused_weight or 0.0)
        self._place = {item: place for place, item in enumerate(self._ranking.item_index.item_ids.tolist())}
        self._table = table
        # Item embeddings frozen with the encoder, and newer ones of items that it does not know.
        self._profiles = self._read_profiles(
            {*self.encoder.profile_hashes.values(), *personas["profile_hash"].to_pylist()}
        )
        self._history = lru_cache(maxsize=users_held)(self._read_history)

    def known(self, item_id: str) -> bool:
        """Whether the item has a persona in this release."""
        return item_id in self._place

    def usable(self, user_id: str) -> bool:
        """Whether the user has a history to recommend from."""
        return self._history(user_id) is not None

    def scores(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        """Compute the scores of `Recommendations.score`, of any item with a persona, whether it may be recommended or not."""
        places = np.array([self._place.get(item, -1) for item in item_ids], dtype=np.int64)
        scores = np.full(len(places), np.nan)
        known = places >= 0
        history = self._history(user_id)
        if not known.any():
            return scores
        if history is None:
            liked = [
                self.encoder.liked_counts.get(item, 0) for item, found in zip(item_ids, known, strict=True) if found
            ]
            scores[known] = np.round(np.log1p(liked), 9)
        else:
            scores[known] = score_items(self._ranking, history, places[known])
        return scores

    def told(self, user_id: str, item_id: str) -> pa.Table:
        """Explain one score as a row of `score.contributions.explain`, for a user with a usable history and a known item."""
        history = self._history(user_id)
        assert history is not None
        return explain(self._ranking, history, np.array([self._place[item_id]]))

    def nearest(self, user_id: str, item_id: str) -> Nearest:
        """Find the nearest persona, for a user with a usable history and a known item."""
        history, item_index = self._history(user_id), self._ranking.item_index
        assert history is not None
        place = self._place[item_id]
        rows = item_index.slots[place][item_index.filled[place]]
        near = item_index.vectors[rows].astype(np.float64) @ history.vectors[0]
        order = np.argsort(-near, kind="stable")
        names = [str(self._ranking.persona_ids[rows[n]]) for n in order[:2]]
        if len(names) == 1:
            return Nearest(names[0], None, None)
        return Nearest(names[0], float(near[order[0]] - near[order[1]]), names[1])

    def _read_history(self, user_id: str) -> UserSums | None:
        rows = self._table("user_vectors").rows("user_id", [user_id], ["encoder_id", "interactions"])
        mine = rows.filter(pc.equal(rows["encoder_id"], self.encoder.encoder_id))
        if not mine.num_rows:
            return None
        told = mine["interactions"].combine_chunks().flatten()
        # In the order the night takes them, so that sums are the same to the last digit.
        order = pa.table({name: pc.fill_null(told.field(name), "") for name in ("review_id", "item_id")})
        told = told.take(pc.sort_indices(order, sort_keys=[("review_id", "ascending"), ("item_id", "ascending")]))
        hashes = told.field("profile_hash").to_pylist()
        missing = {profile for profile in hashes if profile not in self._profiles}
        if missing:  # of an item that has lost its personas since
            self._profiles.update(self._read_profiles(missing))
        profiles = np.stack([self._profiles[profile] for profile in hashes])
        history = UserSums.build(self._ranking, told, np.array([len(told)]), profiles)
        if not self._fused:
            return history
        listed = self._table("candidates").rows("user_id", [user_id], ["item_id", "rank"]).to_struct_array()
        one = pa.ListArray.from_arrays(pa.array([0, len(listed)], pa.int32()), listed.combine_chunks())
        return history.lifted(self._ranking.lifts(one))

    def _read_profiles(self, hashes: set[str]) -> dict[str, np.ndarray]:
        # By what it is, then by which: profiles are written apart from texts, and are few beside them.
        stored = self._table("text_embeddings").rows(
            "base_model", [profile_model(self.encoder.base_model)], ["text_hash", "vector"]
        )
        rows = stored.filter(pc.is_in(stored["text_hash"], pa.array(sorted(hashes), pa.string())))
        return dict(zip(rows["text_hash"].to_pylist(), vectors_of(rows["vector"]), strict=True))
