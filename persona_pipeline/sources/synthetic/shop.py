"""Generate the catalogue from configuration and vocabulary: items, the personas they serve, and their popularity."""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.phrases import Draw
from persona_pipeline.sources.synthetic.vocabulary import Category, Vocabulary

REASONS = 4
_SERVED = np.array([0.2, 0.3, 0.25, 0.15, 0.1])  # an item serves 1, 2, ..., 5 personas
_TITLE_TRIES = 50


@dataclass(frozen=True, slots=True)
class Shop:
    """The catalogue, one row per item in every array. `p` counts latent personas."""

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    descriptions: tuple[str, ...]
    category: npt.NDArray[np.int64]  # (items,) index into Vocabulary.categories
    weights: npt.NDArray[np.float64]  # (items, p) rows sum to 1; 0 = does not serve
    strengths: npt.NDArray[np.bool_]  # (items, p, REASONS) what the item is good at, for the personas it serves
    popularity: npt.NDArray[np.float64]  # (items,) sums to 1
    launch_day: npt.NDArray[np.int64]  # (items,) 0 = always there; `days` = after the window
    quality: npt.NDArray[np.float64]  # (items,) added to every rating


def make_shop(config: SyntheticConfig, vocabulary: Vocabulary) -> Shop:
    """Raises ConfigError where the catalogue is too small for every persona to be served from day 0."""
    rng = np.random.default_rng([config.seed, 1])
    buyers = buyers_by_category(vocabulary)
    served_from_start = len(buyers) * max(len(group) for group in buyers)
    n_late = config.n_new_items + config.n_unreviewed_items
    if config.n_items - n_late < served_from_start:
        raise ConfigError(
            f"synthetic: n_items={config.n_items} is too few for {len(vocabulary.personas)} latent personas and "
            f"{n_late} late items; at least {served_from_start + n_late}"
        )
    position = rng.permutation(config.n_items)  # ids must not tell what follows from the position
    category = position % len(buyers)
    weights, strengths = _match(rng, position, category, buyers, len(vocabulary.personas))
    launch_day, rank = _launches(rng, config, position, served_from_start)
    popularity = rank.astype(np.float64) ** -config.popularity_slope
    titles, descriptions = _copy(config, vocabulary, category, weights)
    return Shop(
        item_ids=tuple(f"I{i + 1:05d}" for i in range(config.n_items)),
        titles=titles,
        descriptions=descriptions,
        category=category,
        weights=weights,
        strengths=strengths,
        popularity=np.round(popularity / popularity.sum(), 9),
        launch_day=launch_day,
        quality=rng.normal(0, 0.25, config.n_items),
    )


def buyers_by_category(vocabulary: Vocabulary) -> list[npt.NDArray[np.int64]]:
    """For each category, the personas (indices) that buy in it."""
    return [
        np.array([p for p, persona in enumerate(vocabulary.personas) if category.category_id in persona.cells])
        for category in vocabulary.categories
    ]


def rounded_shares(values: npt.NDArray[np.float64], decimals: int = 6) -> npt.NDArray[np.float64]:
    """Non-negative rows scaled to sum to 1, rounded so that the truth files hold exactly what the world used. (n, m) to (n, m)."""
    shares: npt.NDArray[np.float64] = np.round(values / values.sum(axis=1, keepdims=True), decimals)
    largest = shares.argmax(axis=1)
    rows = np.arange(len(shares))
    shares[rows, largest] = np.round(shares[rows, largest] + 1 - shares.sum(axis=1), decimals)
    return shares


def _match(
    rng: np.random.Generator,
    position: npt.NDArray[np.int64],
    category: npt.NDArray[np.int64],
    buyers: list[npt.NDArray[np.int64]],
    n_personas: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    n_items = len(position)
    weights = np.zeros((n_items, n_personas))
    strengths = np.zeros((n_items, n_personas, REASONS), dtype=bool)
    n_served = rng.choice(np.arange(1, len(_SERVED) + 1), size=n_items, p=_SERVED)
    for i in range(n_items):
        group = buyers[category[i]]
        first = group[(position[i] // len(buyers)) % len(group)]  # in turn, so that no persona is left out
        others = rng.permutation(group[group != first])[: n_served[i] - 1]
        chosen = np.append(others, first)
        weights[i, chosen] = rng.gamma(2.0, size=len(chosen)) + 0.05
        for p in chosen:
            strengths[i, p, rng.permutation(REASONS)[: rng.integers(2, REASONS)]] = True
    return rounded_shares(weights), strengths


def _launches(
    rng: np.random.Generator, config: SyntheticConfig, position: npt.NDArray[np.int64], served_from_start: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Launch days and popularity ranks (1 = most popular), (items,) each."""
    launch_day = np.zeros(config.n_items, dtype=np.int64)
    late = rng.permutation(np.flatnonzero(position >= served_from_start))[
        : config.n_new_items + config.n_unreviewed_items
    ]
    new, unreviewed = late[: config.n_new_items], late[config.n_new_items :]
    launch_day[new] = rng.integers(config.days - config.new_item_days, config.days, len(new))
    launch_day[unreviewed] = config.days
    rank = rng.permutation(config.n_items) + 1
    # A new item of the tail would hardly be chosen in its few weeks: it swaps ranks with a more popular one.
    for i in new:
        if rank[i] > config.n_items // 2:
            wanted = rng.integers(1, config.n_items // 2 + 1)
            rank[rank == wanted] = rank[i]
            rank[i] = wanted
    return launch_day, rank


def _copy(
    config: SyntheticConfig, vocabulary: Vocabulary, category: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    draw = random.Random(f"copy {config.seed}").random
    titles: dict[str, None] = {}
    descriptions = []
    for i, c in enumerate(category):
        shelf = vocabulary.categories[c]
        titles[_new_title(draw, vocabulary, shelf, titles)] = None
        # Product copy names one or two of the audiences; the others are known to reviewers only.
        audiences = [vocabulary.personas[p] for p in np.argsort(-weights[i], kind="stable")[:2] if weights[i, p] > 0]
        sentences = [shelf.specs.expand(draw), audiences[0].cells[shelf.category_id].blurb]
        if draw() < 0.5:
            sentences.append(shelf.care.expand(draw))
        elif len(audiences) > 1 and draw() < 0.4:
            sentences.append(audiences[1].cells[shelf.category_id].blurb)
        descriptions.append(" ".join(sentences))
    return tuple(titles), tuple(descriptions)


def _new_title(draw: Draw, vocabulary: Vocabulary, shelf: Category, taken: dict[str, None]) -> str:
    title = ""
    for _ in range(_TITLE_TRIES):
        title = shelf.pattern.format(
            brand=_pick(draw, vocabulary.brands),
            model=_pick(draw, vocabulary.models),
            size=_pick(draw, shelf.sizes),
            title=shelf.title.expand(draw),
        )
        if title not in taken:
            return title
    return f"{title} No. {len(taken) + 1}"


def _pick(draw: Draw, values: tuple[str, ...]) -> str:
    return values[int(draw() * len(values))]
