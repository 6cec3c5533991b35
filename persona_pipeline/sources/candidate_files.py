"""Validate files of candidates: a user, an item, and the item's rank or score in the user's list."""

from pathlib import Path

from persona_pipeline.sources.table_files import TableFiles, check_table
from persona_pipeline.sources.table_kinds import CANDIDATES


def check_candidates(path: Path) -> TableFiles:
    """Validate the file, or the files of the folder. Raises SourceError naming file, column and what was expected."""
    return check_table(path, CANDIDATES)


def by_rank(files: TableFiles) -> bool:
    """Whether a user's list is ordered by rank; else by score."""
    return "rank" in files.columns
