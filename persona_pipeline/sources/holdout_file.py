"""Write and read the hold-out file: ids of the reviews and events that a backtest withholds from a night."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from persona_pipeline.core.atomic import atomic_file
from persona_pipeline.core.errors import PipelineError

COLUMN = "review_id"


def write_holdout(path: Path, interaction_ids: pa.ChunkedArray) -> None:
    """Write the ids, of events their interaction_id, sorted, so that the same ids make the same file."""
    with atomic_file(path) as partial:
        pq.write_table(pa.table({COLUMN: interaction_ids.cast(pa.string())}).sort_by(COLUMN), partial)


def check_holdout(path: Path) -> Path:
    """Return the path by which Spark reads the file, if it holds review ids.

    Spark takes a path for a pattern: what would mean something in one is escaped. Raises PipelineError naming the file where it is
    missing or has other content.
    """
    if not path.is_file():
        raise PipelineError(f"reviews.withheld: {path}: no such file; expected Parquet with a column {COLUMN}")
    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise PipelineError(f"reviews.withheld: {path} is not a Parquet file: {error}") from error
    if COLUMN not in schema.names or not _is_text(schema.field(COLUMN).type):
        found = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
        raise PipelineError(f"reviews.withheld: {path} needs a column {COLUMN} of strings; its columns: {found}")
    return Path(re.sub(r"([\\\[\]{}*?])", r"\\\1", str(path)))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
