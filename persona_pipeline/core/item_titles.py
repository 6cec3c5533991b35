"""Name an item without a title by the first sentence of its summary, in SQL and in Python alike."""


def title_sql(title: str = "title", summary: str = "summary") -> str:
    """`item_title` as an expression in the SQL of DuckDB and of Spark, over columns of `items` and `item_summaries`."""
    return f"coalesce({title}, nullif(split_part({summary}, '. ', 1), ''))"


def item_title(title: str | None, summary: str | None) -> str | None:
    """The title, or else the first sentence of the summary; None where both are missing."""
    return title if title is not None else (summary or "").split(". ")[0] or None
