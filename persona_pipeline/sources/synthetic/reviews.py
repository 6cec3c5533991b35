"""Generate reviews of choices: ratings that follow the match, kinds of noise, a few repeats, and the texts."""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from persona_pipeline.sources.synthetic.choices import Choices
from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.noise import add_noise
from persona_pipeline.sources.synthetic.people import People, Visits
from persona_pipeline.sources.synthetic.shop import Shop, buyers_by_category
from persona_pipeline.sources.synthetic.texts import Kind, Subject, Writer
from persona_pipeline.sources.synthetic.vocabulary import Vocabulary

KINDS: tuple[Kind, ...] = ("genuine", "off_topic", "contradictory")
NOBODY = -1
FIRST = -1
_GENUINE, _OFF_TOPIC, _CONTRADICTORY = range(3)


@dataclass(frozen=True, slots=True)
class Reviews:
    """One row per review, in order of time."""

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.int64]  # epoch seconds
    rating: npt.NDArray[np.int64]  # 1 to 5
    persona: npt.NDArray[np.int64]  # who chose the item
    text_persona: npt.NDArray[np.int64]  # whose words the text is in, NOBODY for off_topic
    kind: npt.NDArray[np.int64]  # index into KINDS
    repeats: npt.NDArray[np.int64]  # row of the earlier review of the same user and item, FIRST if there is none
    titles: tuple[str, ...]
    texts: tuple[str, ...]


def make_reviews(
    config: SyntheticConfig, vocabulary: Vocabulary, shop: Shop, people: People, visits: Visits, choices: Choices
) -> Reviews:
    """Ratings, kinds and texts for every visit, and `config.n_repeats` repeated reviews."""
    rng = np.random.default_rng([config.seed, 4])
    n = len(visits.user)
    rating = _ratings(rng, shop, people, visits, choices)
    noise = (config.off_topic_share, config.contradictory_share)
    kind = rng.choice(len(KINDS), size=n, p=[1 - sum(noise), *noise])
    text_persona, tone = _voices(rng, vocabulary, shop, choices, rating, kind)
    origin, timestamp, word_for_word = _repeats(rng, config, visits)
    order = np.lexsort((visits.user[origin], timestamp))
    repeated = order >= n
    origin, timestamp, word_for_word = origin[order], timestamp[order], word_for_word[order]
    row_of_first = np.empty(n, dtype=np.int64)
    row_of_first[origin[~repeated]] = np.flatnonzero(~repeated)
    repeats = np.where(repeated, row_of_first[origin], FIRST)
    voice = np.where(text_persona == NOBODY, choices.persona, text_persona)
    drafts = _Drafts(
        choices.item[origin], voice[origin], tone[origin], rating[origin], kind[origin], repeats, word_for_word
    )
    titles, texts = _write(config, vocabulary, shop, drafts)
    return Reviews(
        user=visits.user[origin],
        item=choices.item[origin],
        timestamp=timestamp,
        rating=rating[origin],
        persona=choices.persona[origin],
        text_persona=text_persona[origin],
        kind=kind[origin],
        repeats=repeats,
        titles=titles,
        texts=texts,
    )


def _ratings(
    rng: np.random.Generator, shop: Shop, people: People, visits: Visits, choices: Choices
) -> npt.NDArray[np.int64]:
    """Around 4 to 5 where the item serves the persona, around 2 where it was bought on impulse."""
    weight = shop.weights[choices.item, choices.persona]
    match = weight / shop.weights[choices.item].max(axis=1)
    expected = np.where(weight > 0, 3.5 + 1.25 * match, 2.1)
    spread = rng.normal(0, 0.8, len(match)) + people.leniency[visits.user] + shop.quality[choices.item]
    return np.clip(np.rint(expected + spread), 1, 5).astype(np.int64)


def _voices(
    rng: np.random.Generator,
    vocabulary: Vocabulary,
    shop: Shop,
    choices: Choices,
    rating: npt.NDArray[np.int64],
    kind: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Whose words a text is in and the rating it sounds like, (n,) each.

    Half of the contradictory reviews speak as another persona of the category, the others against their own rating.
    """
    voice = np.where(kind == _OFF_TOPIC, NOBODY, choices.persona)
    tone = rating.copy()
    buyers = buyers_by_category(vocabulary)
    for row in np.flatnonzero(kind == _CONTRADICTORY):
        group = buyers[shop.category[choices.item[row]]]
        others = group[group != choices.persona[row]]
        if len(others) and rng.random() < 0.5:
            voice[row] = rng.choice(others)
        else:
            tone[row] = 1 if rating[row] >= 3 else 5
    return voice, tone


def _repeats(
    rng: np.random.Generator, config: SyntheticConfig, visits: Visits
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Visits with some of them appended once more: which visit, when, and whether word for word; (n + repeats,) each.

    Half are posted twice within minutes, half are an update weeks later, where the window still allows that.
    """
    n = len(visits.user)
    again = rng.permutation(n)[: config.n_repeats]
    minutes, weeks = rng.integers(1, 600, len(again)), rng.integers(7 * 86_400, 60 * 86_400, len(again))
    twice = (rng.random(len(again)) < 0.5) | (visits.timestamp[again] + weeks >= config.end_timestamp)
    when = visits.timestamp[again] + np.where(twice, minutes, weeks)
    return (
        np.concatenate((np.arange(n), again)),
        np.concatenate((visits.timestamp, when)),
        np.concatenate((np.zeros(n, dtype=bool), twice)),
    )


def _write(
    config: SyntheticConfig, vocabulary: Vocabulary, shop: Shop, drafts: "_Drafts"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    draw = random.Random(f"texts {config.seed}").random
    writer = Writer(vocabulary, draw)
    contacts = vocabulary.phrases["contact"]
    titles: list[str] = []
    texts: list[str] = []
    columns = (drafts.item, drafts.voice, drafts.tone, drafts.rating, drafts.kind, drafts.repeats, drafts.posted_twice)
    for item, voice, tone, rating, kind_index, first, twice in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        if twice:
            titles.append(titles[first])
            texts.append(texts[first])
            continue
        kind = KINDS[kind_index]
        category = vocabulary.categories[shop.category[item]]
        strong = tuple(shop.strengths[item, voice].tolist())
        subject = Subject(category, vocabulary.personas[voice], strong, tone)
        sentences = writer.sentences(subject, kind)
        titles.append(writer.title(Subject(category, vocabulary.personas[voice], strong, rating), kind))
        texts.append(add_noise(config, draw, sentences if first == FIRST else writer.update(sentences), tone, contacts))
    return tuple(titles), tuple(texts)


@dataclass(frozen=True, slots=True)
class _Drafts:
    """Inputs of the texts, one row per review in order of time."""

    item: npt.NDArray[np.int64]
    voice: npt.NDArray[np.int64]  # a persona in every row; off_topic texts do not use it
    tone: npt.NDArray[np.int64]  # the rating the text sounds like
    rating: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    repeats: npt.NDArray[np.int64]
    posted_twice: npt.NDArray[np.bool_]  # the text of the row it repeats, word for word
