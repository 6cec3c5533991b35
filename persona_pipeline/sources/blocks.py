"""Parse what users do not want to see, `eligibility.blocks`, into rows of `blocks` (Spark)."""

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from persona_pipeline.sources.erased import Erased, without_erased
from persona_pipeline.sources.table_files import TableFiles
from persona_pipeline.sources.table_rows import read_rows, require_sound, verdict

KINDS = ("item", "creator", "category")
_EXPECTED = {
    "missing_user_id": "a user",
    "missing_block": "an item_id, a creator or a category",
    "several_blocks": "one of item_id, creator and category; a row of its own for each",
}


def parse_blocks(
    spark: SparkSession,
    files: TableFiles,
    user_name: Callable[[str], str] | None = None,
    erased: Erased | None = None,
) -> DataFrame:
    """Read columns user_id, kind and value, each once. Raises SourceError for a row that is not sound."""
    values = dict(zip(("item_id", "creator", "category"), KINDS, strict=True))
    given = sum((F.col(name).isNotNull().cast("int") for name in values), F.lit(0))
    faults = [
        ("missing_user_id", F.col("user_id").isNull(), F.lit(None)),
        ("missing_block", given == 0, F.lit(None)),
        ("several_blocks", given > 1, F.concat_ws(", ", *values)),
    ]
    kind = F.coalesce(*(F.when(F.col(name).isNotNull(), F.lit(kind)) for name, kind in values.items()))
    judged = without_erased(read_rows(spark, files, user_name), erased).select(
        "source_file",
        "source_line",
        *verdict(files, faults),
        "user_id",
        kind.alias("kind"),
        F.coalesce(*values).alias("value"),
    )
    require_sound(judged, files, _EXPECTED)
    return judged.select("user_id", "kind", "value").distinct()


def without_items(blocks: DataFrame, items: DataFrame) -> int:
    """Count the blocked values of which there is no item: an item that is not sold, or a name that is not spelt as in `items`."""
    known = items.select(F.lit("item").alias("kind"), F.col("item_id").alias("value"))
    known = known.union(items.select(F.lit("creator"), "creator"))
    known = known.union(items.select(F.lit("category"), F.explode("categories")))
    return blocks.select("kind", "value").distinct().join(known, ["kind", "value"], "left_anti").count()
