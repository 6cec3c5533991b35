"""Name the files and folders a night is given: of records with the adapters that read them, and of rows beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from persona_pipeline.config import PipelineConfig
from persona_pipeline.sources.adapters import Adapter, InputKind, configured, of_interactions
from persona_pipeline.sources.folders import settled
from persona_pipeline.sources.table_files import TableKind
from persona_pipeline.sources.table_kinds import BLOCKS, CANDIDATES, WINDOWS


@dataclass(frozen=True, slots=True)
class GivenRecords:
    """A file or folder of reviews, items or events, and the adapter that reads it."""

    kind: InputKind
    path: Path
    adapter: Adapter


@dataclass(frozen=True, slots=True)
class GivenRows:
    """A file or folder of rows beside the records: `eligibility`, `blocks` or `candidates`."""

    name: str
    path: Path
    kind: TableKind


def given_records(
    source: str | None, reviews: Path | None, items: Path | None, config: PipelineConfig
) -> list[GivenRecords]:
    """Reviews, items and events that a night is given, those that there are; without a source, events alone."""
    found: list[GivenRecords] = []
    if source:
        adapter = configured(source, config.reviews)
        found += [GivenRecords("reviews", reviews, adapter)] if reviews else []
        found += [GivenRecords("items", items, adapter)] if items else []
    if events := config.interactions.file:
        found.append(GivenRecords("interactions", Path(events), of_interactions(source, config.interactions)))
    return found


def given_rows(config: PipelineConfig) -> list[GivenRows]:
    """Files of rows that the configuration names."""
    named = (
        ("eligibility", config.eligibility.file, WINDOWS),
        ("blocks", config.eligibility.blocks, BLOCKS),
        ("candidates", config.candidates.file, CANDIDATES),
    )
    return [GivenRows(name, Path(file), kind) for name, file, kind in named if file]


def wait_for(records: Sequence[GivenRecords], rows: Sequence[GivenRows], config: PipelineConfig) -> None:
    """Wait until no folder is being filled any more: before anything of them is read. Raises TransientError as `settled`."""
    for one in records:
        settled(one.path, one.kind, config.reviews)
    # Nobody says that what writes these leaves a _SUCCESS.
    by_age = config.reviews.model_copy(update={"expect_success": False})
    for table in rows:
        settled(table.path, table.kind.setting, by_age)
