"""Rank users by an encoder trained in this process on a night's tables, under any settings or changed training data.

For comparisons of training settings or training data without Spark and without running a night; the lists equal those
of the night's jobs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from persona_pipeline.backtest.ablations import Change
from persona_pipeline.backtest.split_runs import LENGTH
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, PipelineConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.embeddings.model_names import trained_from
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior, liked_interactions
from persona_pipeline.encoder.fit import fit_encoder
from persona_pipeline.encoder.head import Head
from persona_pipeline.encoder.item_embeddings import persona_inputs
from persona_pipeline.encoder.training_data import TrainingData, training_data
from persona_pipeline.encoder.training_examples import ItemSlots
from persona_pipeline.evaluate.metrics import CUTOFF, RelevantItems, per_user, top_lists
from persona_pipeline.model_registry.registry import encoder_rows
from persona_pipeline.model_selection.next_item import LikedHistories, head_scores, popularity_scores, prior_scores
from persona_pipeline.warehouse import Warehouse

AS_GOOD = 0.99  # of the best NDCG@10
_DIGITS = 9  # scores are rounded where the kernel rounds them, so that equal ones are equal


@dataclass(frozen=True)
class KnownData:
    """Training data and interactions of a night.

    Attributes:
        data: the head's training data; a variant changes it.
        liked: interactions the prior is fitted on.
        met: all interactions; lists leave these items out, and `met.item_ids` is the catalogue.
        base_model: of the embeddings.
    """

    data: TrainingData
    liked: Interactions
    met: Interactions
    base_model: str

    @classmethod
    def of(
        cls, warehouse: Warehouse, config: PipelineConfig, met: Interactions, tuned: bool = True, blind: bool = False
    ) -> "KnownData":
        """Read a night's training data, over the base model of its encoder if it has one, else over the untrained base.

        `blind` is that of `training_data`: for choosing settings.

        Raises PipelineError where `text_embeddings` lacks a text.
        """
        base_model = Embedder(config.text_embeddings, warehouse).base_model
        if tuned:
            bases = (row["base_model"] for row in encoder_rows(warehouse))
            base_model = next((base for base in bases if trained_from(base) == base_model), base_model)
        least = config.training_pairs.min_liked_rating
        data = training_data(warehouse, base_model, least, config.encoders, blind)
        return cls(data, liked_interactions(warehouse, least), met, base_model)

    def changed(self, change: Change, config: EncodersConfig) -> tuple["KnownData", EncodersConfig]:
        """Apply a variant to the training data and settings."""
        weighed = self.data.weighed(config)
        data, settings = change(weighed, config)
        # Vectors that were changed are not to be put together anew.
        return replace(self, data=self.data if data is weighed else replace(data, fields=None)), settings

    def encoder(self, config: EncodersConfig) -> Encoder:
        """Train the encoder that the `encoders` job would train on this data."""
        return fit_encoder(
            "variant", self.base_model, self.data.weighed(config), Prior.fit(self.liked, config), "", config
        )[0]


@dataclass(frozen=True)
class Scores:
    """Score terms of some users, kept apart so that fusion weights can be changed without training again.

    Attributes:
        met: as in `KnownData`.
        users: (users,) rows of `met.user_ids`.
        rows: (n,) rows of `users` with a usable history; all other users get the popularity list.
        columns: (items,) catalogue indices of the items that have personas.
        personas: (n, items) persona scores, in units of the temperature.
        histories: of the n users.
        item_ids, liked: (items,) the items' ids, and their numbers of likes.
    """

    met: Interactions
    users: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    personas: np.ndarray
    histories: LikedHistories
    item_ids: np.ndarray
    liked: np.ndarray

    @classmethod
    def of(cls, encoder: Encoder, known: KnownData, users: np.ndarray, newest: int | None = None) -> "Scores":
        """Score rows of `known.met.user_ids` by an encoder, from each user's `newest` interactions or from all."""
        data = known.data.weighed(encoder.config)
        inputs = persona_inputs(data.persona_profiles, data.persona_texts, encoder.config.persona_weight)
        ids, items = (
            data.personas[name].to_numpy(zero_copy_only=False).astype(str) for name in ("persona_id", "item_id")
        )
        catalogue = ItemSlots.build(ids, items, inputs)
        rows = np.flatnonzero(
            np.isin(known.met.user_ids[users], data.interactions["user_id"].to_numpy(zero_copy_only=False))
        )
        histories = LikedHistories.of(data.interactions, known.met.user_ids[users[rows]])
        histories = histories if newest is None else histories.newest(newest)
        profiles = data.interaction_profiles.astype(np.float64)  # the kernel ranks in float64
        head = Head.of(encoder.interaction_map, encoder.persona_map, encoder.config.temperature)
        return cls(
            known.met,
            users,
            rows,
            np.searchsorted(known.met.item_ids, catalogue.item_ids),
            head_scores(head, catalogue, profiles, histories, encoder.config),
            histories,
            catalogue.item_ids,
            np.array([data.liked_counts.get(item, 0) for item in catalogue.item_ids.tolist()]),
        )

    def lists(self, config: EncodersConfig, prior: Prior | None = None, k: int = LENGTH) -> np.ndarray:
        """Rank users, (users, k) catalogue indices, best first, -1 where no item is left.

        Args:
            config: its weights of popularity and prior.
            prior: to be weighted by `prior_weight`; None for no prior.
            k: length of a list.
        """
        counts = np.log1p(self.liked)
        scores = self.personas + config.popularity_weight * popularity_scores(counts, self.histories, config)
        if prior is not None and config.prior_weight:
            scores += config.prior_weight * prior_scores(prior, self.item_ids, self.histories, config)
        whole = np.full((len(self.users), len(self.met.item_ids)), -np.inf)
        whole[:, self.columns[self._usual]] = self.liked[self._usual]
        whole[self.rows] = -np.inf
        whole[np.ix_(self.rows, self.columns)] = np.round(config.temperature * scores, _DIGITS)
        return top_lists(whole, self.met.matrix()[self.users], k)

    @cached_property
    def _usual(self) -> np.ndarray:
        """Indices of the items of `default_topk`, the popularity list."""
        most_liked = np.argsort(-self.liked, kind="stable")[:LENGTH]
        usual: np.ndarray = most_liked[self.liked[most_liked] > 0]
        return usual


def ranked(encoder: Encoder, known: KnownData, users: np.ndarray) -> np.ndarray:
    """Rank users under a trained encoder, (users, LENGTH)."""
    return Scores.of(encoder, known, users).lists(encoder.config, encoder.prior)


def ndcg(lists: np.ndarray, truth: RelevantItems) -> float:
    """Mean NDCG@10 of ranked lists (users, k)."""
    return float(per_user(lists, truth, [CUTOFF])[f"ndcg@{CUTOFF}"].mean())


def least_popularity(
    scores: Scores, prior: Prior | None, truth: RelevantItems, config: EncodersConfig, weights: Sequence[float]
) -> EncodersConfig:
    """Choose the smallest popularity weight whose NDCG@10 is within 1% of the best weight's."""
    tried = [config.model_copy(update={"popularity_weight": weight}) for weight in sorted(weights)]
    found = [ndcg(scores.lists(settings, prior), truth) for settings in tried]
    return next(settings for settings, value in zip(tried, found, strict=True) if value >= AS_GOOD * max(found))
