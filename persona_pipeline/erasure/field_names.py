"""Tell by its name whether a column or key of a file without a contract holds ids of people and their reviews (`FieldNames`).

An id alone does not say: in many shops user 10 and item 10 are two things, and a word of a vocabulary may be somebody's name.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.sources.adapters import ADAPTERS
from persona_pipeline.warehouse import Warehouse

Kind = Literal["people", "others", "unknown"]
_PEOPLE = ("user_id", "review_id", "interaction_id")
_LIKELY = re.compile(r"user|reviewer|customer|review.?id", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FieldNames:
    """Names of columns and keys that hold ids of `people` or their reviews, and ids of `others`: items, personas, encoders."""

    people: frozenset[str]
    others: frozenset[str]

    def kind(self, name: str, around: Kind = "unknown") -> Kind:
        """What a column or key of this name holds; `around` is what the object around it says where the name says nothing."""
        if name in self.people or (name not in self.others and _LIKELY.search(name)):
            return "people"
        return "others" if name in self.others else around


def field_names(root: Path) -> FieldNames:
    """The names that contracts and adapters use, and those that the configuration of any run gave."""
    people, others = set(_PEOPLE), set()
    for table in table_names():
        contract = load_contract(table)
        people |= {field or column for column, field in contract.subjects("user", "review")}
        others |= {name for column, field in contract.subjects("none") if (name := field or column).endswith("_id")}
    for field, key in _keys(root):
        if field in _PEOPLE:
            people.add(key)
        elif field == "item_id":
            others.add(key)
    return FieldNames(frozenset(people), frozenset(others - people))


def _keys(root: Path) -> Iterator[tuple[str, str]]:
    """Each canonical field of input with a key under which files have it."""
    for adapter in ADAPTERS.values():
        for fields in (adapter.reviews, adapter.interactions):
            yield from ((field, key) for field, keys in fields.items() for key in keys)
    for config in set(Warehouse(root).read("runs", ["config"])["config"].to_pylist()):
        told: Mapping[str, Any] = json.loads(config)
        for stage in ("reviews", "interactions"):
            columns: Mapping[str, str | None] = told.get(stage, {}).get("columns", {})
            # `a.b` is the key b of the object under a.
            yield from ((field, key.rpartition(".")[2]) for field, key in columns.items() if key)
