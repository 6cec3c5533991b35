"""Parse table contracts (`schemas/<table>.yaml`) into typed models, derive Arrow schemas, and check rows against them.

Spark schemas and Delta column comments are derived from the Arrow schema (`warehouse`), so a column is declared once.
"""

from functools import cache
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from persona_pipeline.core.errors import ContractError
from persona_pipeline.core.package_data import package_folder

SCHEMAS = package_folder("schemas")

_SCALARS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
ScalarName = Literal["string", "boolean", "int", "long", "float", "double", "date", "timestamp"]


Role = Literal["state", "published", "log", "cache"]
Owner = Literal["data-engineering", "ml-engineering"]
Retention = Literal["as_released", "all_rows", "until_emptied"]

Subject = Literal[
    "none",
    "user",
    "review",
    "quoted",
    "persona",
    "request",
    "mixed",
    "words",
    "derived",
    "record",
    "remark",
    "text_hash",
]
"""How a column is about a person, which says what erasing that person does to it; docs/erasure.md has the list.

`none`: it is about nobody. Ids: `user` names a person; `review` is a review by the person whom the same struct or row names;
`quoted` a review by anybody, whose words are shown or were read; `persona` a persona, which may rest on one person alone;
`request` a request to an LLM, which may show a person's words; `mixed` an id of any of these or of something else; `text_hash`
stands for a text. Texts: `words` are a person's own, or made from that person's alone; `derived` was made from the words of
several, or counts them, and the table has its own rule; `record` is a line of input as received; `remark` was said by programs or
operators, who may have named somebody.
"""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StructField(_Model):
    """One field of a list's struct. Always nullable: the engines differ too much on nested nullability."""

    name: str
    type: ScalarName
    subject: Subject | None = None
    description: str = Field(min_length=1)


class Column(_Model):
    """One column. A list holds scalars (`items`) or structs (`fields`)."""

    name: str
    type: ScalarName | Literal["list"]
    nullable: bool
    subject: Subject | None = None
    description: str = Field(min_length=1)
    items: ScalarName | None = None
    fields: tuple[StructField, ...] = ()

    @model_validator(mode="after")
    def _list_of_one_kind(self) -> "Column":
        if (self.type == "list") != (bool(self.items) != bool(self.fields)):
            raise ValueError("a list column has items or fields, and no other column has")
        return self

    def arrow_type(self) -> pa.DataType:
        """The column's Arrow type."""
        if self.type != "list":
            return _SCALARS[self.type]
        if self.items:
            return pa.list_(pa.field("element", _SCALARS[self.items]))
        struct = pa.struct(
            [pa.field(f.name, _SCALARS[f.type], metadata={"comment": f.description}) for f in self.fields]
        )
        return pa.list_(pa.field("element", struct))


class Contract(_Model):
    """Contract of one table: description, producing job, key, partitions and columns.

    `role`: `state` is the result of a run; `published` tables are opened by readers; a `log` records events; a `cache`
    may be emptied or filled at any time, and no release depends on it. `owner`: who is asked about it. `retention`: how
    long its rows are kept: `as_released` at the versions that retained releases name, `all_rows` for good,
    `until_emptied` as long as somebody wants them, for they can be made again. `reads`: state tables that the task of
    this name reads; its run refuses it all other tables. `reads_before`: state tables it reads as they were when the
    run was opened, since a later task makes them. `after`: tasks that fill caches it reads. `sort_by`: rows are stored
    in this order, in small row groups, so that looking up one value reads little. `change_feed`: once published,
    Delta's change data feed lists the rows each commit changed.
    """

    table: str
    description: str = Field(min_length=1)
    made_by: str
    role: Role
    owner: Owner
    retention: Retention
    reads: tuple[str, ...] = ()
    reads_before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    engine: Literal["spark", "delta-rs"]
    key: tuple[str, ...] = Field(min_length=1)
    partition_by: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    change_feed: bool = False
    columns: tuple[Column, ...] = Field(min_length=1)

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    def subjects(self, *kinds: Subject) -> list[tuple[str, str | None]]:
        """Columns that are about a person in one of these ways, each with the field of its structs, or None."""
        places: list[tuple[str, str | None, Subject | None]] = [(c.name, None, c.subject) for c in self.columns]
        places += [(c.name, field.name, field.subject) for c in self.columns for field in c.fields]
        return [(column, field) for column, field, subject in places if subject in kinds]

    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with the descriptions as field metadata `comment`."""
        return pa.schema(
            pa.field(c.name, c.arrow_type(), nullable=c.nullable, metadata={"comment": c.description})
            for c in self.columns
        )

    def conform(self, rows: pa.Table) -> pa.Table:
        """Reorder and cast rows to the contract's columns; raises ContractError naming table, column and fault."""
        found, wanted = set(rows.column_names), set(self.names)
        if found != wanted:
            raise ContractError(
                f"table {self.table}: columns differ from schemas/{self.table}.yaml: "
                f"missing {sorted(wanted - found) or 'none'}, unknown {sorted(found - wanted) or 'none'}"
            )
        arrays = []
        for field in self.arrow_schema():
            self._check_struct(field, rows.schema.field(field.name).type)
            try:
                array = rows.column(field.name).cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise ContractError(f"table {self.table}: column {field.name} is not {field.type}: {error}") from error
            if not field.nullable and array.null_count:
                raise ContractError(
                    f"table {self.table}: column {field.name} holds {array.null_count} nulls, none allowed"
                )
            arrays.append(array)
        conformed = pa.Table.from_arrays(arrays, schema=self.arrow_schema())
        self._check_key(conformed)
        return conformed

    def _check_struct(self, field: pa.Field, found: pa.DataType) -> None:
        """Refuse structs with other fields: Arrow casts a missing field to null, and drops unknown fields."""
        kinds = (found, field.type)
        if not all(pa.types.is_list(kind) and pa.types.is_struct(kind.value_type) for kind in kinds):
            return
        names, wanted = ({part.name for part in kind.value_type} for kind in kinds)
        if names != wanted:
            raise ContractError(
                f"table {self.table}: column {field.name} is not {field.type}: "
                f"fields missing {sorted(wanted - names) or 'none'}, unknown {sorted(names - wanted) or 'none'}"
            )

    def _check_key(self, rows: pa.Table) -> None:
        grouped = rows.select(self.key).group_by(list(self.key)).aggregate([([], "count_all")])
        repeated = grouped.filter(pc.greater(grouped["count_all"], 1))
        if repeated.num_rows:
            example = repeated.slice(0, 1).to_pylist()[0]
            example.pop("count_all")
            raise ContractError(
                f"table {self.table}: {repeated.num_rows} repeated values of the key ({', '.join(self.key)}), e.g. {example}"
            )


def table_names(*roles: Role) -> list[str]:
    """List tables with a contract, sorted; with `roles`, those of one of these roles."""
    names = sorted(path.stem for path in SCHEMAS.glob("*.yaml"))
    return [name for name in names if not roles or load_contract(name).role in roles]


@cache
def load_contract(table: str) -> Contract:
    """Load the contract of a table. Raises ContractError when it is missing or malformed."""
    path = SCHEMAS / f"{table}.yaml"
    if not path.is_file():
        raise ContractError(f"no contract schemas/{table}.yaml; tables: {', '.join(table_names())}")
    try:
        contract = Contract.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise ContractError(f"schemas/{table}.yaml: {error}") from error
    columns = set(contract.names)
    strangers = {*contract.key, *contract.partition_by, *contract.sort_by} - columns
    if contract.table != table or strangers or len(columns) != len(contract.columns):
        raise ContractError(
            f"schemas/{table}.yaml: table must be {table}, key, partitions and order among the columns "
            f"({', '.join(sorted(strangers)) or 'they are'}), and column names distinct"
        )
    return contract
