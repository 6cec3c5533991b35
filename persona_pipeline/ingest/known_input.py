"""Tell what the warehouse knows of input files from the nights that parsed them (`input_files`)."""

from datetime import datetime

from persona_pipeline.config import ReviewsConfig
from persona_pipeline.sources.adapters import Adapter
from persona_pipeline.sources.input_state import parsed_name, parser_key, pseudonyms
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import let_back_since


def newest_parsed(warehouse: Warehouse, source: Adapter, config: ReviewsConfig) -> dict[str, datetime | None]:
    """When the newest review of each file was written, by the file's digest: of files parsed as tonight's would be."""
    before = warehouse.read("input_files", ["digest", "parsed_file", "newest_at"]).to_pylist()
    if not before:
        return {}
    key = parser_key(source, config, pseudonyms(config), let_back_since(warehouse))
    return {row["digest"]: row["newest_at"] for row in before if row["parsed_file"] == parsed_name(row["digest"], key)}
