"""Load profiles and YAML files into a `PipelineConfig`; errors name the file, the key, and the nearest known key."""

import difflib
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from persona_pipeline.config.pipeline import PipelineConfig
from persona_pipeline.core.errors import ConfigError

_FILES = (
    ("reviews", "withheld"),
    ("reviews", "withdrawn"),
    ("interactions", "file"),
    ("candidates", "file"),
    ("eligibility", "file"),
    ("eligibility", "blocks"),
    ("extraction", "published"),
)
_PROFILES = resources.files("persona_pipeline") / "profiles"


def parse_as_of(text: str) -> date:
    """Parse the date of a night from an ISO date or timestamp. Raises ConfigError."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise ConfigError(f"--as-of {text}: expected a date such as 2024-06-30") from None


def load_config(source: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> PipelineConfig:
    """Read a profile by name (`local`, `gpu`), or a YAML file over the profile it names under `profile` (local by default).

    `overrides` win over both. Raises ConfigError naming the file and the key.
    """
    name = str(source or "local")
    packaged = _PROFILES / f"{name}.yaml"
    if packaged.is_file():
        shown, values = f"profile {name}", _read(packaged.read_text(encoding="utf-8"), f"profile {name}")
    else:
        if not Path(name).is_file():
            raise ConfigError(
                f"config {name}: no such file, and no packaged profile of that name (there are: local, gpu)"
            )
        shown, values = name, _beside(Path(name), _read(Path(name).read_text(encoding="utf-8"), name))
        profile = values.pop("profile", "local")
        base = _PROFILES / f"{profile}.yaml"
        if not base.is_file():
            raise ConfigError(f"config {shown}: profile: there is no profile {profile}; there are local and gpu")
        values = _merged(_read(base.read_text(encoding="utf-8"), f"profile {profile}"), values)
    values = _merged(values, overrides or {})
    try:
        return PipelineConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(shown, error)) from error


def _read(text: str, shown: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"config {shown}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config {shown}: expected a mapping of stages to settings, found {type(values).__name__}")
    return values


def _beside(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Resolve the paths that a file names relative to its own folder, so that they hold wherever a task runs."""
    for stage, key in _FILES:
        settings = values.get(stage)
        if isinstance(settings, Mapping) and settings.get(key):
            there = str((file.parent / str(settings[key])).resolve())
            values = {**values, stage: {**settings, key: there}}
    extraction = values.get("extraction")
    llm = extraction.get("llm") if isinstance(extraction, Mapping) else None
    if not isinstance(extraction, Mapping) or not isinstance(llm, Mapping):
        return values
    folders = {
        key: (file.parent / str(llm[key])).resolve()
        for key in ("model", "tokenizer", "prompts", "ledger")
        if llm.get(key)
    }
    # A model may be a name as well as a folder; the response cache need not exist yet.
    found = {key: str(path) for key, path in folders.items() if key in ("prompts", "ledger") or path.is_dir()}
    return {**values, "extraction": {**extraction, "llm": {**llm, **found}}}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge settings recursively; where a stage is no mapping, validation will refuse it."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key, {}), Mapping)
        if both:
            merged[key] = _merged(merged.get(key, {}), value)
        elif not (isinstance(value, Mapping) and key in merged):
            merged[key] = value
    return merged


def _explain(shown: str, error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"config {shown}: unknown key {key}{_suggest(fault['loc'])}")
        else:
            lines.append(f"config {shown}: {key}: {fault['msg']} (found {fault['input']!r})")
    return "\n".join(lines)


def _suggest(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = PipelineConfig
    for part in location[:-1]:
        inner = model.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(known)}"
