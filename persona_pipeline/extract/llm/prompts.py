"""Templates and a domain's words to the text of a request.

Whatever comes from reviews or metadata goes through the `fenced` filter: it cannot close the tag it stands in, pass for a
numbered sentence, or span lines.
"""

import functools
import hashlib
import re
import unicodedata
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

from persona_pipeline.errors import ConfigError
from persona_pipeline.extract.protocol import ASPECT_NAMES

_PROMPTS = resources.files("persona_pipeline.extract") / "prompts"
_SPACES = re.compile(r"\s+")
_BRACKETS = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")"})


def fenced(text: str) -> str:
    """Text of a stranger on one line, without tags, sentence numbers or a chat template's control words in brackets."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return _SPACES.sub(" ", visible).strip().translate(_BRACKETS)


class Prompts:
    """A pack's prompts. `digest` changes with any word of them."""

    def __init__(self, pack: str) -> None:
        self._pack = _read_pack(pack)
        environment = Environment(
            loader=FunctionLoader(_template),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701 - what is rendered is no HTML; `fenced` is what protects it
        )
        environment.filters["fenced"] = fenced
        self._environment = environment

    def render(self, template: str, **values: Any) -> str:
        """`prompts/<template>.jinja2` with the pack's words and these values."""
        return self._environment.get_template(template).render(pack=self._pack, **values).strip()

    def digest(self, stage: str) -> str:
        """12 hexadecimal digits of a stage's templates and of the pack."""
        seen = hashlib.sha256(repr(sorted(self._pack.items())).encode())
        for part in ("system", "user"):
            seen.update(_template(f"{stage}_{part}").encode())
        return seen.hexdigest()[:12]


@functools.cache
def _template(name: str) -> str:
    return (_PROMPTS / f"{name}.jinja2").read_text(encoding="utf-8")


@functools.cache
def _read_pack(name: str) -> dict[str, Any]:
    file = _PROMPTS / "packs" / f"{name}.yaml"
    if not file.is_file():
        there = sorted(p.name.removesuffix(".yaml") for p in (_PROMPTS / "packs").iterdir())
        raise ConfigError(f"extraction.llm.prompt_pack {name}: there is no such pack; there are {', '.join(there)}")
    pack: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert tuple(pack["aspects"]) == ASPECT_NAMES, f"{name}.yaml: aspects must be {ASPECT_NAMES}"
    return pack
