"""Say what the files of rows hold beside reviews and items: candidates, windows of eligibility, blocks."""

from persona_pipeline.sources.table_files import TableKind

_ITEM = (("item_id",), "item_id")
_USER = (("user_id",), "user_id")

CANDIDATES = TableKind(
    "candidates.file",
    "candidates",
    {"user_id": "text", "item_id": "text", "rank": "number", "score": "number"},
    (_USER, _ITEM, (("rank", "score"), "rank (1 is best) or score (more is better)")),
)
WINDOWS = TableKind(
    "eligibility.file",
    "windows",
    {"item_id": "text", "from": "date", "until": "date", "reason": "text"},
    (_ITEM, (("from", "until", "reason"), "from, until (dates) or reason")),
)
BLOCKS = TableKind(
    "eligibility.blocks",
    "blocks",
    {"user_id": "text", "item_id": "text", "creator": "text", "category": "text"},
    (_USER, (("item_id", "creator", "category"), "item_id, creator or category")),
)
