"""Define the response models (pydantic) that mirror `schemas/llm/<name>.json`, and fill in the schemas' bounds.

An engine is given the schema and keeps to it if it can; the response model decides validity, whatever the engine.
Evidence comes first in a reply, then the text: a model that has named sentences writes about them.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from persona_pipeline.core.package_data import package_folder
from persona_pipeline.extract.types import AspectName, Stance

_NAME_WORDS = 4  # two or three are asked for; "The Do It Yourselfer" is still a name
_SCHEMAS = package_folder("schemas") / "llm"


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Cites(_Reply):
    """Reply that cites sentences by number, at most `sentences` of the validation context."""

    @field_validator("sentences", check_fields=False)
    @classmethod
    def _exist(cls, numbers: list[int], info: ValidationInfo) -> list[int]:
        count = (info.context or {})["sentences"]
        absent = [number for number in numbers if not 1 <= number <= count]
        if absent:
            raise ValueError(f"there is no sentence {absent[0]}; there are {count}")
        return list(dict.fromkeys(numbers))


class AspectResponse(_Cites):
    """One aspect, with the sentences it rests on."""

    sentences: list[int] = Field(min_length=1, max_length=3)
    aspect: AspectName
    text: Annotated[str, StringConstraints(min_length=3, max_length=120, strip_whitespace=True)]


class AspectsResponse(_Reply):
    """Aspects of one review, at least one, so that an empty reply is no way out."""

    aspects: list[AspectResponse] = Field(min_length=1, max_length=4)


class SummaryResponse(_Reply):
    """Summary of an item."""

    summary: Annotated[str, StringConstraints(min_length=10, max_length=500, strip_whitespace=True)]


class PersonaResponse(_Cites):
    """One persona, with the sentences it rests on."""

    sentences: list[int] = Field(min_length=1, max_length=12)
    stance: Stance
    description: Annotated[str, StringConstraints(min_length=20, max_length=500, strip_whitespace=True)]
    preference_rationale: Annotated[str, StringConstraints(min_length=10, max_length=300, strip_whitespace=True)]
    name: Annotated[str, StringConstraints(min_length=3, max_length=40, strip_whitespace=True)]

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if len(name.split()) > _NAME_WORDS:
            raise ValueError(f"a name has at most {_NAME_WORDS} words")
        return name


class ClusterResponse(_Cites):
    """The sentences that make the cluster's point, possibly none, and a description."""

    sentences: list[int] = Field(max_length=10)
    description: Annotated[str, StringConstraints(min_length=5, max_length=160, strip_whitespace=True)]


class PersonasResponse(_Reply):
    """Personas of one item; `least` and `most` of the validation context bound their number."""

    personas: list[PersonaResponse]

    @model_validator(mode="after")
    def _as_many_as_asked(self, info: ValidationInfo) -> "PersonasResponse":
        bounds = info.context or {}
        if not bounds["least"] <= len(self.personas) <= bounds["most"]:
            raise ValueError(f"{len(self.personas)} personas, asked for {bounds['least']} to {bounds['most']}")
        return self


class ChoiceResponse(_Reply):
    """A judge's choice among the personas, at most `personas` of the validation context."""

    reasoning: Annotated[str, StringConstraints(min_length=10, max_length=800, strip_whitespace=True)]
    persona: int

    @field_validator("persona")
    @classmethod
    def _exists(cls, number: int, info: ValidationInfo) -> int:
        count = (info.context or {})["personas"]
        if not 1 <= number <= count:
            raise ValueError(f"there is no persona {number}; there are {count}")
        return number


class RankingResponse(_Reply):
    """Candidates by number, best first.

    No server can be held to name each once: the reader of the reply appends the candidates left out.
    """

    ranking: list[int] = Field(min_length=1)


@functools.lru_cache(maxsize=1024)
def _schema(name: str, bounds: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    raw = json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    values = {f"${bound}": value for bound, value in bounds}

    def bound(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: bound(value) for key, value in node.items()}
        if isinstance(node, list):
            return [bound(value) for value in node]
        return values[node] if isinstance(node, str) and node.startswith("$") else node

    schema: dict[str, Any] = bound(raw)
    return schema


def schema_digest(name: str) -> str:
    """Hash of `schemas/llm/<name>.json`, 12 hexadecimal digits."""
    return hashlib.sha256((_SCHEMAS / f"{name}.json").read_bytes()).hexdigest()[:12]


def output_schema(name: str, bounds: Mapping[str, int]) -> dict[str, Any]:
    """Fill in the `$bounds` of `schemas/llm/<name>.json`; cached by bounds. Raises KeyError for a missing bound."""
    return _schema(name, tuple(sorted(bounds.items())))
