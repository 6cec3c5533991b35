"""What a night makes of the records of some files, without a warehouse."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from persona_pipeline.sources.adapters import Adapter, adapter
from persona_pipeline.sources.files import InputFile, check_files
from persona_pipeline.sources.parsing import ParsingSettings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

AS_OF = date(2024, 6, 30)


class Parsed(NamedTuple):
    """What a night makes of the records of some files."""

    rows: Any
    rejected: Any
    lines: int
    not_yet: int
    withheld: int


def parsed_reviews(spark: "SparkSession", files: list[tuple[str, InputFile]], known: Adapter) -> "DataFrame":
    """Files parsed as a night parses them, each record with the name given with its file as `source_file`."""
    from pyspark.sql import functions as F

    from persona_pipeline.ingest.parsed_files import write_reviews

    with TemporaryDirectory() as folder:
        written = write_reviews(spark, files, known, ParsingSettings(8_000), Path(folder))
        parsed = spark.read.parquet(*(str(Path(folder) / file.path) for file in written))
        return parsed.withColumn("source_file", F.col("parsed_file")).localCheckpoint()


def night(
    spark: "SparkSession", files: list[Path], as_of: date = AS_OF, source: str = "jsonl", withheld: Any = None
) -> Parsed:
    from pyspark.sql import functions as F

    from persona_pipeline.sources import reader

    known = adapter(source)
    found = [(file.name, file) for path in files for file in check_files(path, "reviews", known)]
    parsed = parsed_reviews(spark, found, known)
    made = reader.Night(parsed, as_of, withheld)
    total, kept, refused = parsed.count(), made.rows().count(), made.rejected().count()
    withheld_here = made.left_out()["withheld"]
    not_yet = parsed.where("reason IS NULL").where(F.col("reviewed_at") >= F.lit(as_of)).count()
    assert total == kept + refused + withheld_here + not_yet
    return Parsed(made.rows(), made.rejected(), total, not_yet, withheld_here)
