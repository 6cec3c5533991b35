"""Load the packaged YAML (`data/`) as compiled vocabulary: latent personas, categories, and generic sentences."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.synthetic.phrases import Phrase

_PATTERN = "{brand} {model} {size} {title}"
_GRAMMAR = ("it", "them", "this", "is", "was", "has")


@dataclass(frozen=True, slots=True)
class Reason:
    """One criterion by which a persona judges an item of a category."""

    means: str  # the truth, in other words than reviewers use
    good: Phrase
    bad: Phrase


@dataclass(frozen=True, slots=True)
class Cell:
    """One persona's wants from one category."""

    goal: Phrase
    use: Phrase
    blurb: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class LatentPersona:
    """An audience: its people, their motives, and their wants from each category they buy in."""

    persona_id: str
    name: str
    interest: str
    who: Phrase
    headline: Phrase
    vocabulary: tuple[str, ...]
    cells: dict[str, Cell]  # by category_id

    def truth_text(self, category_id: str) -> str:
        """The persona in one category as a text to compare extracted personas with. Raises KeyError if it buys nothing there."""
        reasons = "; ".join(reason.means for reason in self.cells[category_id].reasons)
        return f"{self.name}: {self.interest}. Wants: {reasons}."


@dataclass(frozen=True, slots=True)
class Category:
    """One category of the shop."""

    category_id: str
    path: tuple[str, ...]
    words: dict[str, str]  # it, them, this, is, was, has
    thing: Phrase
    part: Phrase
    pattern: str
    title: Phrase
    sizes: tuple[str, ...]
    specs: Phrase
    care: Phrase


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All vocabulary of a world."""

    personas: tuple[LatentPersona, ...]
    categories: tuple[Category, ...]  # those some persona buys in
    brands: tuple[str, ...]
    models: tuple[str, ...]
    phrases: dict[str, tuple[Phrase, ...]]
    titles: dict[int, Phrase]  # by rating
    time: Phrase


@cache
def load_vocabulary(n_personas: int) -> Vocabulary:
    """The first `n_personas` personas and the categories they buy in.

    Raises ConfigError where a file contradicts itself: a persona in a category the shop does not have, a reason missing a side.
    """
    shop, said = _read("shop.yaml"), _read("phrases.yaml")
    personas = tuple(_persona(entry) for entry in _read("personas.yaml")[:n_personas])
    categories = {entry["id"]: _category(entry) for entry in shop["categories"]}
    wanted = {category_id for persona in personas for category_id in persona.cells}
    if unknown := wanted - set(categories):
        raise ConfigError(
            f"synthetic vocabulary: personas.yaml names categories that shop.yaml does not have: {sorted(unknown)}"
        )
    special = ("time", "titles", "update")
    phrases = {kind: tuple(map(Phrase, lines)) for kind, lines in said.items() if kind not in special}
    return Vocabulary(
        personas=personas,
        categories=tuple(category for category in categories.values() if category.category_id in wanted),
        brands=tuple(shop["brands"]),
        models=tuple(shop["models"]),
        phrases=phrases | {"update": (Phrase(said["update"]),)},
        titles={int(rating): Phrase(line) for rating, line in said["titles"].items()},
        time=Phrase(said["time"]),
    )


def _read(name: str) -> Any:
    return yaml.safe_load((resources.files(__package__) / "data" / name).read_text(encoding="utf-8"))


def _persona(entry: dict[str, Any]) -> LatentPersona:
    try:
        return LatentPersona(
            persona_id=entry["id"],
            name=entry["name"],
            interest=entry["interest"],
            who=Phrase(entry["who"]),
            headline=Phrase(entry["headline"]),
            vocabulary=tuple(entry["vocabulary"]),
            cells={category_id: _cell(cell) for category_id, cell in entry["cells"].items()},
        )
    except KeyError as error:
        raise ConfigError(f"synthetic vocabulary: personas.yaml: {entry.get('id', entry)} lacks {error}") from error


def _cell(entry: dict[str, Any]) -> Cell:
    reasons = tuple(
        Reason(reason["means"], Phrase(reason["good"]), Phrase(reason["bad"])) for reason in entry["reasons"]
    )
    return Cell(goal=Phrase(entry["goal"]), use=Phrase(entry["use"]), blurb=entry["blurb"], reasons=reasons)


def _category(entry: dict[str, Any]) -> Category:
    words = entry["words"]
    return Category(
        category_id=entry["id"],
        path=tuple(entry["path"]),
        words={word: words[word] for word in _GRAMMAR},
        thing=Phrase(words["thing"]),
        part=Phrase(entry["part"]),
        pattern=entry.get("pattern", _PATTERN),
        title=Phrase(entry["title"]),
        sizes=tuple(entry["sizes"]),
        specs=Phrase(entry["specs"]),
        care=Phrase(entry["care"]),
    )
