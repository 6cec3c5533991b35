"""Choose the base model that embeds a run's texts: that of the run's incumbent encoder, or the one configured.

| incumbent | base model |
| --- | --- |
| pinned or promoted by a person | the incumbent's |
| served, over the configured base or a fine-tune of it | the incumbent's |
| served, over any other base; or none | the configured one |

The labels of `training_pairs` are made with it too. A run that trains over another base embeds its texts by that base
itself.
"""

from collections.abc import Sequence
from datetime import date

from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import Embedder, embedder_of
from persona_pipeline.embeddings.model_names import trained_from
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.model_registry.incumbent import Incumbent, incumbent_of
from persona_pipeline.model_registry.overrides import Override
from persona_pipeline.model_registry.registry import settings_of
from persona_pipeline.publish.releases import Release
from persona_pipeline.warehouse import Warehouse


def embedder_of_run(
    warehouse: Warehouse,
    overrides: Sequence[Override],
    as_of: date,
    parent: Release | None,
    config: TextEmbeddingsConfig,
) -> Embedder:
    """The embedder of the run's incumbent encoder (`embedder_of_incumbent`)."""
    return embedder_of_incumbent(warehouse, incumbent_of(warehouse, overrides, as_of, parent), config)


def embedder_of_incumbent(warehouse: Warehouse, incumbent: Incumbent, config: TextEmbeddingsConfig) -> Embedder:
    """The embedder of an encoder chosen by a person, or served over the configured base or a fine-tune of it; else the configured.

    Raises PipelineError where that encoder's base is gone.
    """
    configured = Embedder(config, warehouse)
    if incumbent.row is None or incumbent.row["base_model"] == configured.base_model:
        return configured
    if not incumbent.override and trained_from(incumbent.row["base_model"]) != configured.base_model:
        return configured
    try:
        return embedder_of(incumbent.row["base_model"], config, warehouse)
    except PipelineError as error:
        raise PipelineError(f"encoder {incumbent.row['encoder_id']}, from which the night starts: {error}") from error


def settings_of_incumbent(incumbent: Incumbent) -> EncodersConfig | None:
    """The settings of the incumbent encoder; None where there is none, or this program does not know them."""
    if incumbent.row is None or incumbent.row["text_version"] != TEXT_VERSION:
        return None
    try:
        return settings_of(incumbent.row)
    except PipelineError:
        return None
