"""Validate raw LLM output into exactly one typed outcome per request (invariant 3); output is never repaired."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.requests import Request

OutcomeName = Literal["ok", "too_long", "truncated", "invalid_json", "schema", "label_conflict", "engine_error"]

ANSWERED: tuple[OutcomeName, ...] = ("ok", "truncated", "invalid_json", "schema", "label_conflict")
"""Outcomes of an answer. The others are none: they stay out of the ledger and are asked again another night."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a prompt: `request` is its last attempt, `value` the validated reply when the outcome is ok."""

    request: Request
    name: OutcomeName
    detail: str
    value: BaseModel | None = None
    cached: bool = False
    attempts: int = 1


def outcome_of(
    answer: Answer, reply: type[BaseModel], schema: Mapping[str, Any], context: dict[str, Any] | None = None
) -> tuple[OutcomeName, str, BaseModel | None]:
    """Outcome, detail and validated reply of a raw answer.

    `reply` mirrors the request's JSON `schema`; `context` gives its validators what the schema gave the engine.
    """
    if answer.finish == "error":
        return "engine_error", answer.detail, None
    if answer.finish == "length":
        return "truncated", f"no end after {answer.completion_tokens} tokens: …{answer.text[-80:]}", None
    try:
        # strict: raw control characters inside a string are no JSON.
        raw = json.loads(answer.text, object_pairs_hook=_without_repeated_keys)
    except (ValueError, RecursionError) as error:
        return "invalid_json", f"{error}: {answer.text[:200]}", None
    if cut := _cut(raw, schema):
        return "truncated", f"a text ends where it had to: …{cut[-80:]}", None
    try:
        return "ok", "", reply.model_validate(raw, context=context)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        return "schema", f"{place}: {fault['msg']} (and {error.error_count() - 1} more)", None


def _cut(value: Any, schema: Mapping[str, Any]) -> str:
    """Find a string as long as the schema allows, which was cut off by the grammar; empty without one."""
    if isinstance(value, str):
        return value if len(value) == schema.get("maxLength") else ""
    parts: Iterable[tuple[Any, Mapping[str, Any]]] = ()
    if isinstance(value, dict):
        parts = ((part, schema.get("properties", {}).get(name, {})) for name, part in value.items())
    elif isinstance(value, list):
        parts = ((part, schema.get("items", {})) for part in value)
    return next(filter(None, (_cut(part, of) for part, of in parts)), "")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a key twice")
    return found
