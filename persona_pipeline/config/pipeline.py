"""Compose the settings of all stages into `PipelineConfig`, and digest them."""

import hashlib
import json

from persona_pipeline.config.aggregate import ItemReviewsConfig, UserHistoriesConfig
from persona_pipeline.config.embeddings import TextEmbeddingsConfig
from persona_pipeline.config.encoder import EncodersConfig, TrainingPairsConfig
from persona_pipeline.config.extract import ExtractionConfig
from persona_pipeline.config.keyed import KeyedConfig
from persona_pipeline.config.publish import ReleasesConfig, ReportConfig
from persona_pipeline.config.score import UserItemTopkConfig
from persona_pipeline.config.sources import CandidatesConfig, EligibilityConfig, InteractionsConfig, ReviewsConfig
from persona_pipeline.config.spark import SparkConfig
from persona_pipeline.config.stage import StageConfig


class PipelineConfig(StageConfig):
    """Settings of a whole run, one stage each."""

    OPERATIONAL = frozenset({"spark", "keyed", "releases", "report"})

    spark: SparkConfig = SparkConfig()
    keyed: KeyedConfig = KeyedConfig()
    reviews: ReviewsConfig = ReviewsConfig()
    interactions: InteractionsConfig = InteractionsConfig()
    eligibility: EligibilityConfig = EligibilityConfig()
    candidates: CandidatesConfig = CandidatesConfig()
    item_reviews: ItemReviewsConfig = ItemReviewsConfig()
    user_histories: UserHistoriesConfig = UserHistoriesConfig()
    extraction: ExtractionConfig = ExtractionConfig()
    text_embeddings: TextEmbeddingsConfig = TextEmbeddingsConfig()
    training_pairs: TrainingPairsConfig = TrainingPairsConfig()
    encoders: EncodersConfig = EncodersConfig()
    user_item_topk: UserItemTopkConfig = UserItemTopkConfig()
    releases: ReleasesConfig = ReleasesConfig()
    report: ReportConfig = ReportConfig()

    def digest(self) -> str:
        """16 hexadecimal digits that change with any setting except those of `spark` and `keyed`.

        Of what differs from the defaults, so that a setting this version added leaves an earlier configuration what it was.
        """
        told = self.model_dump(mode="json", exclude={"spark", "keyed"}, exclude_defaults=True)
        canonical = json.dumps(told, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
