"""Define Delta properties, schemas and column comments that every engine can read."""

import pyarrow as pa
from deltalake import Field

from persona_pipeline.core.errors import BusyError

TABLE_PROPERTIES = {
    # Releases name versions and decide how long those are kept (`publish.retention`). By Delta's own defaults the log of a
    # version, and with it the way to open it, goes after 30 days, and Spark refuses to open one that is a week old.
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
"""Properties of every table, whichever engine creates it."""
READABLE = {"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "none"}
"""Properties of tables that Spark writes: off, so that delta-rs and DuckDB open what it wrote."""


def overtaken(table: str) -> BusyError:
    return BusyError(
        f"table {table}: another process committed to it in the meantime; this one wrote nothing. Run it again"
    )


def without_comments(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_list(kind):
        kind = pa.list_(without_comments(kind.value_field))
    elif pa.types.is_struct(kind):
        kind = pa.struct([without_comments(part) for part in kind])
    return pa.field(field.name, kind, field.nullable)


def delta_field(field: pa.Field) -> Field:
    plain = Field.from_arrow(field)
    comment = (field.metadata or {})[b"comment"].decode()
    return Field(field.name, plain.type, nullable=field.nullable, metadata={"comment": comment})
