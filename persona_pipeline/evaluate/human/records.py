"""Define, write and read the JSON lines of a sample file: a persona or explanation, and the verdict to fill in."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from persona_pipeline.core.errors import PipelineError


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PersonaVerdict(_Record):
    """Verdict on a persona, from reading its quotes alone; null while not judged."""

    true: bool | None = Field(None, description="everything it says follows from the quotes")
    person: bool | None = Field(None, description="it describes a kind of person, or a motive")
    readable: bool | None = Field(None, description="a shopper would understand it")
    why: str = Field("", description="what is wrong, in a few words")


class ExplanationVerdict(_Record):
    """Verdict on an explanation, read as the shopper it is shown to."""

    sensible: bool | None = Field(None, description="it is a reason to look at the item")
    objection: bool | None = Field(None, description="it speaks against the item")
    why: str = ""


class PersonaToJudge(_Record):
    """One persona of a release, with all of its quotes."""

    kind: Literal["persona"] = "persona"
    said: str = Field(description="hash of what it says and quotes: a verdict holds wherever the same is said")
    persona_id: str
    item_id: str
    item_title: str | None
    name: str
    description: str
    preference_rationale: str
    stance: str
    topic: str | None
    persona_source: str
    extractor_version: str
    quotes: list[str]
    verdict: PersonaVerdict = PersonaVerdict()

    @property
    def judged(self) -> bool:
        """Whether there is a verdict."""
        return self.verdict.true is not None


class ExplanationToJudge(_Record):
    """One explanation of a recommendation."""

    kind: Literal["explanation"] = "explanation"
    item_id: str
    item_title: str | None
    persona_source: str
    extractor_version: str
    topic: str | None
    explanation: str
    verdict: ExplanationVerdict = ExplanationVerdict()

    @property
    def judged(self) -> bool:
        """Whether there is a verdict."""
        return self.verdict.sensible is not None


Judgeable = Annotated[PersonaToJudge | ExplanationToJudge, Field(discriminator="kind")]
_LINE: TypeAdapter[PersonaToJudge | ExplanationToJudge] = TypeAdapter(Judgeable)


def said(row: Mapping[str, Any]) -> str:
    """Hash of a row of `item_personas`: its statements and quotes."""
    parts = [row["name"], row["description"], row["preference_rationale"], *(e["quote"] for e in row["evidence"])]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def write_sample(records: Iterable[PersonaToJudge | ExplanationToJudge], path: Path) -> int:
    """Write one JSON object per line; returns their number. Raises PipelineError where the file exists: it may hold verdicts."""
    if path.exists():
        raise PipelineError(f"{path}: exists, and may hold verdicts; choose another name")
    lines = [record.model_dump_json() for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def read_sample(path: Path) -> list[PersonaToJudge | ExplanationToJudge]:
    """Read a file's records, judged or not. Raises PipelineError naming the faulty line and field."""
    if not path.is_file():
        raise PipelineError(f"{path}: no such file; `persona-pipeline personas sample` writes one")
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                records.append(_LINE.validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"]) or "the line"
                raise PipelineError(f"{path}, line {number}: {where}: {first['msg']}") from error
    return records
