"""Generate a whole synthetic world: catalogue, users, reviews, and the truth behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from persona_pipeline.sources.synthetic.choices import ChoiceModel, make_choices
from persona_pipeline.sources.synthetic.config import SyntheticConfig
from persona_pipeline.sources.synthetic.people import NO_DRIFT, People, make_people
from persona_pipeline.sources.synthetic.reviews import FIRST, KINDS, NOBODY, Reviews, make_reviews
from persona_pipeline.sources.synthetic.shop import Shop, buyers_by_category, make_shop
from persona_pipeline.sources.synthetic.vocabulary import Vocabulary, load_vocabulary

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SyntheticWorld:
    """Everything in memory, as arrays; the `*_rows` methods give what the files hold, in the order of the files."""

    config: SyntheticConfig
    vocabulary: Vocabulary
    shop: Shop
    people: People
    reviews: Reviews

    def review_rows(self) -> Iterator[Row]:
        """Canonical reviews, oldest first."""
        reviews = self.reviews
        columns = (reviews.user.tolist(), reviews.item.tolist(), reviews.rating.tolist(), reviews.timestamp.tolist())
        for n, (user, item, rating, timestamp) in enumerate(zip(*columns, strict=True)):
            yield {
                "review_id": review_id(n),
                "user_id": self.people.user_ids[user],
                "item_id": self.shop.item_ids[item],
                "rating": rating,
                "title": reviews.titles[n],
                "text": reviews.texts[n],
                "timestamp": timestamp,
            }

    def item_rows(self) -> Iterator[Row]:
        """Canonical items."""
        for i, item_id in enumerate(self.shop.item_ids):
            yield {
                "item_id": item_id,
                "title": self.shop.titles[i],
                "description": self.shop.descriptions[i],
                "categories": list(self.vocabulary.categories[self.shop.category[i]].path),
            }

    def true_persona_rows(self) -> Iterator[Row]:
        """Latent personas: all their reasons, and by category the text to compare extracted personas with."""
        for persona in self.vocabulary.personas:
            yield {
                "persona_id": persona.persona_id,
                "name": persona.name,
                "interest": persona.interest,
                "reasons": [reason.means for cell in persona.cells.values() for reason in cell.reasons],
                "vocabulary": list(persona.vocabulary),
                "categories": {category_id: persona.truth_text(category_id) for category_id in persona.cells},
            }

    def true_item_rows(self) -> Iterator[Row]:
        """The personas each item serves, most important first; `reasons` are those the item is good at."""
        personas = self.vocabulary.personas
        for i, item_id in enumerate(self.shop.item_ids):
            category = self.vocabulary.categories[self.shop.category[i]].category_id
            weights = self.shop.weights[i]
            served = sorted((int(p) for p in weights.nonzero()[0]), key=lambda p: (-weights[p], p))
            yield {
                "item_id": item_id,
                "category": category,
                "personas": [
                    {
                        "persona_id": personas[p].persona_id,
                        "weight": float(weights[p]),
                        "reasons": [
                            reason.means
                            for reason, strong in zip(
                                personas[p].cells[category].reasons, self.shop.strengths[i, p], strict=True
                            )
                            if strong
                        ],
                    }
                    for p in served
                ],
                "base_popularity": float(self.shop.popularity[i]),
                "launch_day": int(self.shop.launch_day[i]),
            }

    def true_user_rows(self) -> Iterator[Row]:
        """Mixtures; `drift` is null or the first day of the later mixture and that mixture."""
        people = self.people
        for u, user_id in enumerate(people.user_ids):
            day = int(people.drift_day[u])
            drift = None if day == NO_DRIFT else {"day": day, "mixture": self._shares(people.later_mixture[u].tolist())}
            yield {
                "user_id": user_id,
                "mixture": self._shares(people.mixture[u].tolist()),
                "drift": drift,
                "cold": bool(people.cold[u]),
            }

    def true_review_rows(self) -> Iterator[Row]:
        """The persona that chose the item, the one whose words the text uses (null for off_topic), and any review it repeats."""
        reviews = self.reviews
        ids = [persona.persona_id for persona in self.vocabulary.personas]
        columns = (
            reviews.persona.tolist(),
            reviews.text_persona.tolist(),
            reviews.kind.tolist(),
            reviews.repeats.tolist(),
        )
        for n, (persona, voice, kind, first) in enumerate(zip(*columns, strict=True)):
            yield {
                "review_id": review_id(n),
                "persona_id": ids[persona],
                "text_persona_id": None if voice == NOBODY else ids[voice],
                "kind": KINDS[kind],
                "repeats": None if first == FIRST else review_id(first),
            }

    def _shares(self, mixture: list[float]) -> dict[str, float]:
        return {
            persona.persona_id: share for persona, share in zip(self.vocabulary.personas, mixture, strict=True) if share
        }


def generate(config: SyntheticConfig) -> SyntheticWorld:
    """Draw a world: a function of `config` alone (and of the pinned numpy, whose generators may change between versions).

    Raises ConfigError where the catalogue is too small for the personas.
    """
    vocabulary = load_vocabulary(config.n_latent_personas)
    shop = make_shop(config, vocabulary)
    people, visits = make_people(config)
    choices = make_choices(config, choice_model(config, vocabulary, shop), people, visits)
    return SyntheticWorld(
        config, vocabulary, shop, people, make_reviews(config, vocabulary, shop, people, visits, choices)
    )


def choice_model(config: SyntheticConfig, vocabulary: Vocabulary, shop: Shop) -> ChoiceModel:
    """The choice model of this world."""
    buys = [[p in group.tolist() for p in range(len(vocabulary.personas))] for group in buyers_by_category(vocabulary)]
    return ChoiceModel(
        weights=shop.weights,
        eligible=np.array(buys)[shop.category],
        popularity=shop.popularity,
        launch_day=shop.launch_day,
        popularity_exponent=config.popularity_exponent,
        impulse_share=config.impulse_share,
    )


def review_id(row: int) -> str:
    """Identifier of the review in this row of the files."""
    return f"R{row + 1:08d}"
