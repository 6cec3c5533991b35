"""Parse files of another recommender's lists into `candidates` and `rejected_candidates` (Spark).

Every row ends in exactly one place: a candidate, a rejection with a typed reason, or the count of rows that name a user
or an item unknown to the run.
"""

from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from persona_pipeline.config import CandidatesConfig
from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.reasons import require_few_faults
from persona_pipeline.sources.table_files import TableFiles
from persona_pipeline.sources.table_rows import verdict


@dataclass(frozen=True, slots=True)
class ParsedCandidates:
    """Rows of `candidates` and of `rejected_candidates`, and counts of rows of the files.

    Attributes:
        reasons: rejected rows by reason.
        unknown_users, unknown_items: other rows that name one; a row may name both.
        unknown: rows that name either.
    """

    rows: DataFrame
    rejected: DataFrame
    lines: int
    reasons: dict[str, int]
    unknown_users: int
    unknown_items: int
    unknown: int


def parse_candidates(
    lines: DataFrame, files: TableFiles, users: DataFrame, items: DataFrame, pseudonymous: bool = False
) -> ParsedCandidates:
    """Parse rows of `read_rows` into candidates.

    A user's list is ordered by rank where the files have one, else by score, equals by item id; of an item named twice
    the better place counts. `users` (user_id) and `items` (item_id) are those known to the run, each once. Where users are
    `pseudonymous`, nothing is kept of a row that cannot be read: any word of it may be a user's id.
    """
    ranked = "rank" in files.columns
    rank = F.regexp_replace("rank", r"\.0$", "").try_cast("int")
    score = F.col("score").try_cast("double")
    faults = [
        *((f"missing_{name}", F.col(name).isNull(), F.lit(None)) for name in ("user_id", "item_id")),
        ("missing_rank", F.col("rank").isNull() & F.lit(ranked), F.lit(None)),
        ("bad_rank", F.col("rank").isNotNull() & F.coalesce(rank < 1, F.lit(True)), F.col("rank")),
        ("missing_score", F.col("score").isNull() & F.lit(not ranked), F.lit(None)),
        (
            "bad_score",
            F.col("score").isNotNull() & ~F.coalesce(F.abs(score) < float("inf"), F.lit(False)),
            F.col("score"),
        ),
    ]
    line = F.when(F.col("malformed") & F.lit(pseudonymous), "").otherwise(F.col("line"))
    judged = lines.select(
        "source_file", "source_line", "part", line.alias("line"), *verdict(files, faults),
        "user_id", "item_id", rank.alias("rank"), score.alias("score"),
    )  # fmt: skip
    good = F.col("reason").isNull()
    best_first = [F.asc("rank") if ranked else F.desc("score"), F.desc_nulls_last("score")]
    of_item = Window.partitionBy("user_id", "item_id", good).orderBy(*best_first, "source_file", "source_line", "part")
    repeated = F.when(good & (F.row_number().over(of_item) > 1), F.lit("repeated"))
    judged = judged.withColumn("reason", F.coalesce("reason", repeated)).persist()
    known = (
        judged.where(good)
        .join(users.select("user_id", F.lit(True).alias("user_known")), "user_id", "left")
        .join(items.select("item_id", F.lit(True).alias("item_known")), "item_id", "left")
        .persist()
    )
    no_user, no_item = F.col("user_known").isNull(), F.col("item_known").isNull()
    unknown = known.agg(*(F.count_if(c) for c in (no_user, no_item, no_user | no_item))).collect()[0]
    of_user = Window.partitionBy("user_id").orderBy(*best_first, "item_id")
    rows = known.where(~no_user & ~no_item).select(
        "user_id", "item_id", F.row_number().over(of_user).alias("rank"), "score"
    )
    counts = {row["reason"]: row["count"] for row in judged.groupBy("reason").count().collect()}
    reasons = {reason: count for reason, count in counts.items() if reason is not None}
    return ParsedCandidates(rows, _rejected(judged), sum(counts.values()), reasons, *unknown)


def require_usable(parsed: ParsedCandidates, config: CandidatesConfig) -> None:
    """Raise SourceError where more rows than the configuration allows are rejected, or name unknown users or items."""
    setting, table = "candidates.max_rejected_share", "rejected_candidates"
    require_few_faults("candidates", parsed.lines, parsed.reasons, setting, config.max_rejected_share, table)
    usable = parsed.lines - sum(parsed.reasons.values())
    if parsed.unknown > config.max_unknown_share * usable:
        raise SourceError(
            f"candidates: {parsed.unknown:,} of {usable:,} rows name a user or an item the night does not know "
            f"(users: {parsed.unknown_users:,} rows, items: {parsed.unknown_items:,}; candidates.max_unknown_share is "
            f"{config.max_unknown_share:.1%}). Ids must be those of the reviews; is the file of this shop, and of these days?"
        )


def _rejected(judged: DataFrame) -> DataFrame:
    return judged.where("reason IS NOT NULL").select(
        "source_file",
        "source_line",
        "part",
        "reason",
        F.substring("detail", 1, 200).alias("detail"),
        F.col("line").alias("text"),
    )
