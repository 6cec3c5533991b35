"""Read lists of review ids that people hand in: one a line, or Parquet with a column review_id."""

from pathlib import Path

import pyarrow as pa

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.containers import PARQUET, head, opened
from persona_pipeline.sources.holdout_file import COLUMN, check_holdout
from persona_pipeline.sources.text import decode
from persona_pipeline.sources.values import identity


def read_ids(path: Path) -> pa.Table:
    """Read ids, each once, as a table of the column review_id. Raises PipelineError naming the file where it holds none."""
    if not path.is_file():
        raise SourceError(
            f"reviews.withdrawn: {path}: no such file; expected review ids, one a line, or Parquet with a column {COLUMN}"
        )
    if head(path).startswith(PARQUET):
        import pyarrow.parquet as pq

        found = pq.read_table(check_holdout(path), columns=[COLUMN])[COLUMN].cast(pa.string()).drop_null()
        return pa.table({COLUMN: found.unique()})
    with opened(path) as stream:
        lines = (decode(line)[0].strip().strip("\ufeff") for line in stream)
        ids = list(dict.fromkeys(identity(line) for line in lines if line and line != COLUMN))
    if any("," in name or "{" in name for name in ids[:100]):
        raise SourceError(
            f"reviews.withdrawn: {path}: expected one review id a line and nothing else, found {ids[0][:60]!r}"
        )
    return pa.table({COLUMN: pa.array(ids, pa.string())})
