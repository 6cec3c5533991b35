"""What an item is called where its metadata has no title: the first sentence of its summary, once for SQL and once for Python."""


def title_sql(title: str = "title", summary: str = "summary") -> str:
    """`item_title` as an expression in the SQL of DuckDB and of Spark, over columns of `items` and `item_summaries`."""
    return f"coalesce({title}, nullif(split_part({summary}, '. ', 1), ''))"


def item_title(title: str | None, summary: str | None) -> str | None:
    """The title, or else the first sentence of the summary; None where there is neither."""
    return title if title is not None else (summary or "").split(". ")[0] or None
