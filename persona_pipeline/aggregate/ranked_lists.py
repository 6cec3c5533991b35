"""Lists that are collected with the place of each element before it, to be sorted by (Spark)."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F


def without_place(ranked: str, fields: Iterable[str]) -> Column:
    """The elements of a column of structs with these fields alone.

    By whole columns: `transform` with a function of one element takes as long as sorting and collecting them.
    """
    return F.arrays_zip(*(F.col(ranked)[name].alias(name) for name in fields))
