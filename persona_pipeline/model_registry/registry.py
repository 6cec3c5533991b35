"""Read `encoders`: rows, artefacts and settings, and the differences between two encoders' settings."""

from typing import Any

from pydantic import ValidationError

from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import embedder_of
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.retrain_policy import result_settings
from persona_pipeline.encoder.texts import TEXT_VERSION
from persona_pipeline.warehouse import Warehouse

Row = dict[str, Any]


def encoder_rows(warehouse: Warehouse) -> list[Row]:
    """Every registered encoder, newest night first."""
    return sorted(warehouse.read("encoders").to_pylist(), key=lambda row: (row["as_of"], row["encoder_id"]))[::-1]


def encoder_row(warehouse: Warehouse, encoder_id: str) -> Row:
    """The encoder's row. Raises PipelineError for an encoder that is not registered."""
    sql = "SELECT * FROM encoders WHERE encoder_id = $id"
    found: list[Row] = warehouse.query(sql, ["encoders"], {"id": encoder_id}).to_pylist()
    if not found:
        raise PipelineError(
            f"there is no encoder {encoder_id} in the table encoders of {warehouse.root}; "
            "`persona-pipeline encoders list` shows those there are"
        )
    return found[0]


def readable(warehouse: Warehouse, encoder_id: str) -> Encoder:
    """Load an encoder, to check that it can serve.

    Raises PipelineError for an encoder that is not registered, whose artefact is gone, damaged, or renders texts in
    another version, or whose base model is gone.
    """
    row = encoder_row(warehouse, encoder_id)
    encoder = Encoder.load(warehouse.root / row["artefact"])
    if encoder.text_version != TEXT_VERSION:
        raise PipelineError(
            f"encoder {encoder_id} was trained on texts of version {encoder.text_version}, this program renders "
            f"version {TEXT_VERSION}; choose a newer encoder"
        )
    embedder_of(encoder.base_model, TextEmbeddingsConfig(), warehouse)
    return encoder


def settings_of(row: Row) -> EncodersConfig:
    """The settings an encoder was trained with. Raises PipelineError where this program no longer knows one of them."""
    try:
        return EncodersConfig.model_validate_json(row["settings"])
    except ValidationError as error:
        keys = ", ".join(str(fault["loc"][0]) for fault in error.errors())
        raise PipelineError(
            f"encoder {row['encoder_id']}: settings this program does not know or accept: {keys}"
        ) from error


def differences(served: EncodersConfig, other: EncodersConfig) -> Row:
    """Settings of `other` that would make another encoder than `served`, by name; empty where it would be the same."""
    there, here = result_settings(served), result_settings(other)
    how = ("tuned", "tuning_minutes")  # they were arrived at says nothing of what they are
    return {n: value for n, value in here.items() if n not in how and (n not in there or value != there[n])}
