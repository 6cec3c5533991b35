"""Render prompts from Jinja templates and a domain's prompt pack.

Text from reviews or metadata goes through the `fenced` filter: it cannot close the tag it stands in, pass for a
numbered sentence, or span lines.
"""

import hashlib
import re
import traceback
import unicodedata
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.extract.types import ASPECT_NAMES

_PROMPTS = resources.files("persona_pipeline.extract") / "prompts"
_ENDING = ".jinja2"
_WORDS = ("item", "person", "acts")  # of a pack, next to its aspects
_SPACES = re.compile(r"\s+")
_BRACKETS = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")"})


def fenced(text: str) -> str:
    """Escape untrusted text on one line: no tags, sentence numbers, or a chat template's control words in brackets."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return _SPACES.sub(" ", visible).strip().translate(_BRACKETS)


class Prompts:
    """The prompts of a pack. `digest` changes with any word of them.

    Args:
        pack: the domain's words, `packs/<pack>.yaml`.
        folder: its templates and packs override the packaged ones of the same name; empty for none.

    Raises ConfigError naming file and line for an invalid template or pack.
    """

    def __init__(self, pack: str, folder: str = "") -> None:
        own = _own_files(folder) if folder else {}
        self._pack = _read_pack(pack, own)
        self._files: dict[str, Traversable] = {name: own.get(name, file) for name, file in _packaged().items()}
        self._texts = {name: file.read_text(encoding="utf-8") for name, file in self._files.items()}
        environment = Environment(
            loader=FunctionLoader(lambda name: (self._texts[name], str(self._files[name]), lambda: True)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # noqa: S701 - what is rendered is no HTML; `fenced` is what protects it
        )
        environment.filters["fenced"] = fenced
        self._environment = environment
        for name in own.keys() & self._texts.keys():
            self._check(name)

    def render(self, template: str, **values: Any) -> str:
        """Render `prompts/<template>.jinja2` with the pack's words and these values."""
        try:
            return self._environment.get_template(template).render(pack=self._pack, **values).strip()
        except TemplateError as error:
            file = str(self._files[template])
            lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
            raise _fault(file, lines[-1] if lines else None, error.message or "cannot be rendered") from error

    def digest(self, stage: str) -> str:
        """Hash a stage's templates and the pack, wherever they lie; 12 hexadecimal digits."""
        seen = hashlib.sha256(repr(sorted(self._pack.items())).encode())
        for part in ("system", "user"):
            seen.update(self._texts[f"{stage}_{part}"].encode())
        return seen.hexdigest()[:12]

    def _check(self, name: str) -> None:
        """Validate a template before the first request is paid for, as far as possible without its values."""
        file = str(self._files[name])
        try:
            tree = self._environment.parse(self._texts[name], name, file)
            self._environment.compile(tree, name, file)  # knows of unknown filters
        except TemplateSyntaxError as error:
            raise _fault(file, error.lineno, error.message or "no valid template") from error
        packaged = _packaged()[name].read_text(encoding="utf-8")
        known = {"pack", *meta.find_undeclared_variables(self._environment.parse(packaged))}
        unknown = meta.find_undeclared_variables(tree) - known
        for node in tree.find_all(nodes.Name):
            if node.name in unknown:
                raise _fault(file, node.lineno, f"unknown variable {node.name}; there are {', '.join(sorted(known))}")
        for word in tree.find_all(nodes.Getattr):
            if isinstance(word.node, nodes.Name) and word.node.name == "pack" and word.attr not in self._pack:
                there = ", ".join(sorted(self._pack))
                raise _fault(file, word.lineno, f"the pack has no {word.attr}; there are {there}")


def _packaged() -> dict[str, Traversable]:
    return {f.name.removesuffix(_ENDING): f for f in _PROMPTS.iterdir() if f.name.endswith(_ENDING)}


def _own_files(folder: str) -> dict[str, Traversable]:
    """Find templates by name, packs as `packs/<name>`."""
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"extraction.llm.prompts {folder}: no such folder")
    templates = {path.name.removesuffix(_ENDING): path for path in sorted(root.glob(f"*{_ENDING}"))}
    packs = {f"packs/{path.stem}": path for path in sorted(root.glob("packs/*.yaml"))}
    if not templates and not packs:
        raise ConfigError(f"extraction.llm.prompts {folder}: it holds neither *{_ENDING} nor packs/*.yaml")
    for name, path in templates.items():
        if name not in _packaged():
            there = ", ".join(sorted(_packaged()))
            raise ConfigError(f"extraction.llm.prompts {path}: there is no prompt of that name; there are {there}")
    return {**templates, **packs}


def _read_pack(name: str, own: dict[str, Traversable]) -> dict[str, Any]:
    packaged = {f"packs/{file.name.removesuffix('.yaml')}": file for file in (_PROMPTS / "packs").iterdir()}
    files = {**packaged, **own}
    file = files.get(f"packs/{name}")
    if file is None:
        there = sorted(key.removeprefix("packs/") for key in files if key.startswith("packs/"))
        raise ConfigError(f"extraction.llm.prompt_pack {name}: there is no such pack; there are {', '.join(there)}")
    try:
        pack = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"extraction.llm.prompt_pack {name}: not valid YAML: {error} ({file})") from error
    if not isinstance(pack, dict) or any(not isinstance(pack.get(word), str) for word in _WORDS):
        raise ConfigError(f"extraction.llm.prompt_pack {name}: {file} needs {', '.join(_WORDS)}, each a text")
    if not isinstance(pack.get("aspects"), dict) or tuple(pack["aspects"]) != ASPECT_NAMES:
        raise ConfigError(f"extraction.llm.prompt_pack {name}: aspects of {file} must be {', '.join(ASPECT_NAMES)}")
    return pack


def _fault(file: str, line: int | None, message: str) -> ConfigError:
    place = f"{file}, line {line}" if line else file
    return ConfigError(f"extraction.llm.prompts {place}: {message}")
