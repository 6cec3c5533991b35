"""Invariants of a world, read from the same rows the files hold."""

import re
from collections import Counter, defaultdict

import numpy as np
import pytest
from pydantic import ValidationError

from persona_pipeline.core.errors import ConfigError
from persona_pipeline.sources.synthetic import SyntheticConfig, SyntheticWorld, generate
from persona_pipeline.sources.synthetic.config import MIN_REVIEWS
from persona_pipeline.sources.synthetic.people import NO_DRIFT
from persona_pipeline.sources.synthetic.phrases import Phrase
from persona_pipeline.sources.synthetic.reviews import FIRST


def test_sizes_are_those_asked_for(world: SyntheticWorld, config: SyntheticConfig) -> None:
    rows = list(world.review_rows())
    assert len(rows) == len({row["review_id"] for row in rows}) == config.n_reviews
    assert len({row["user_id"] for row in rows}) == config.n_users
    assert len({row["item_id"] for row in world.item_rows()}) == config.n_items
    assert len({row["title"] for row in world.item_rows()}) == config.n_items


def test_mixtures_and_weights_sum_to_one(world: SyntheticWorld) -> None:
    for user in world.true_user_rows():
        for mixture in filter(None, (user["mixture"], (user["drift"] or {}).get("mixture"))):
            assert sum(mixture.values()) == pytest.approx(1, abs=1e-9)
            assert 1 <= len(mixture) <= 3
            assert min(mixture.values()) > 0
    for item in world.true_item_rows():
        weights = [entry["weight"] for entry in item["personas"]]
        assert sum(weights) == pytest.approx(1, abs=1e-9)
        assert 1 <= len(weights) <= 5
        assert weights == sorted(weights, reverse=True)


def test_timestamps_lie_in_the_window_and_rise(world: SyntheticWorld, config: SyntheticConfig) -> None:
    timestamps = [row["timestamp"] for row in world.review_rows()]
    assert timestamps == sorted(timestamps)
    assert config.start_timestamp == 1_704_067_200  # 2024-01-01 00:00 UTC
    assert config.start_timestamp <= timestamps[0]
    assert timestamps[-1] < config.end_timestamp


def test_nobody_reviews_an_item_twice_but_by_a_recorded_repeat(world: SyntheticWorld, config: SyntheticConfig) -> None:
    rows = list(world.review_rows())
    firsts: dict[tuple[str, str], str] = {}
    repeated = 0
    for row, truth in zip(rows, world.true_review_rows(), strict=True):
        pair = (row["user_id"], row["item_id"])
        if truth["repeats"] is None:
            assert pair not in firsts
            firsts[pair] = row["review_id"]
        else:
            repeated += 1
            assert truth["repeats"] == firsts[pair]
    assert repeated == config.n_repeats > 0
    same_text = [
        row["text"] == world.reviews.texts[n] for row, n in zip(rows, world.reviews.repeats, strict=True) if n != FIRST
    ]
    assert any(same_text)
    assert not all(same_text)


def test_cold_users_have_one_or_two_reviews_and_nobody_else(world: SyntheticWorld, config: SyntheticConfig) -> None:
    counts = np.bincount(world.reviews.user[world.reviews.repeats == FIRST])
    assert world.people.cold.sum() == config.n_cold_users > 0
    assert counts[world.people.cold].max() <= 2
    assert counts[~world.people.cold].min() >= MIN_REVIEWS
    assert counts.max() <= config.max_reviews_per_user


def test_items_are_reviewed_from_their_launch_on_and_some_never(world: SyntheticWorld, config: SyntheticConfig) -> None:
    launch, reviews = world.shop.launch_day, world.reviews
    days = (reviews.timestamp - config.start_timestamp) // 86_400
    assert (days >= launch[reviews.item]).all()
    new = np.flatnonzero((launch > 0) & (launch < config.days))
    unreviewed = np.flatnonzero(launch == config.days)
    assert len(new) == config.n_new_items > 0
    assert launch[new].min() >= config.days - config.new_item_days
    assert np.isin(new, reviews.item).any()
    assert len(unreviewed) == config.n_unreviewed_items > 0
    assert not np.isin(unreviewed, reviews.item).any()


def test_who_chose_holds_the_persona_and_buys_in_the_category(world: SyntheticWorld, config: SyntheticConfig) -> None:
    reviews = world.reviews
    first = reviews.repeats == FIRST  # an update may come after the user has changed
    days = (reviews.timestamp - config.start_timestamp) // 86_400
    mixtures = world.people.mixture_on(reviews.user[first], days[first])
    assert (mixtures[np.arange(first.sum()), reviews.persona[first]] > 0).all()
    served = world.shop.weights[reviews.item, reviews.persona] > 0
    assert (
        config.impulse_share / 4 < 1 - served.mean() < config.impulse_share
    )  # some impulses hit an item that serves them
    categories = {p.persona_id: set(p.cells) for p in world.vocabulary.personas}
    shelf = {row["item_id"]: row["category"] for row in world.true_item_rows()}
    for review, truth in zip(world.review_rows(), world.true_review_rows(), strict=True):
        assert shelf[review["item_id"]] in categories[truth["persona_id"]]
        assert (truth["text_persona_id"] is None) == (truth["kind"] == "off_topic")


def test_drift_changes_what_people_choose() -> None:
    world = generate(
        SyntheticConfig(n_users=300, n_items=160, n_reviews=3_000, drift_share=1.0, cold_user_share=0.0, repeat_share=0)
    )
    people, reviews = world.people, world.reviews
    assert (people.drift_day != NO_DRIFT).all()
    days = (reviews.timestamp - world.config.start_timestamp) // 86_400
    after = days >= people.drift_day[reviews.user]
    old_main = people.mixture.argmax(axis=1)[reviews.user]
    assert (reviews.persona == old_main)[~after].mean() > 0.5
    assert (reviews.persona == old_main)[after].sum() == 0  # a later mixture never holds the old main persona
    assert 0.2 < after.mean() < 0.8


def test_ratings_follow_the_match(world: SyntheticWorld) -> None:
    reviews = world.reviews
    weight = world.shop.weights[reviews.item, reviews.persona]
    assert set(reviews.rating.tolist()) <= {1, 2, 3, 4, 5}
    assert reviews.rating[weight > 0].mean() > reviews.rating[weight == 0].mean() + 1


def test_a_bad_review_says_what_is_bad() -> None:
    silent = dict.fromkeys(("typo_share", "shorthand_share", "html_share"), 0.0)
    world = generate(SyntheticConfig(n_users=200, n_items=160, n_reviews=1_000, impulse_share=0.6, **silent))
    shelf = {row["item_id"]: row["category"] for row in world.true_item_rows()}
    personas = {persona.persona_id: persona for persona in world.vocabulary.personas}
    checked = 0
    for review, truth in zip(world.review_rows(), world.true_review_rows(), strict=True):
        if truth["kind"] == "genuine" and review["rating"] <= 2:
            checked += 1
            cell = personas[truth["text_persona_id"]].cells[shelf[review["item_id"]]]
            bad = "|".join(_pattern(reason.bad) for reason in cell.reasons)
            assert re.search(bad, review["text"], re.IGNORECASE), review["text"]
    assert checked > 100


def _pattern(phrase: Phrase) -> str:
    parts = [part if isinstance(part, tuple) else (part,) for part in phrase.parts]
    return "".join("(?:" + "|".join(map(re.escape, part)) + ")" for part in parts)


def test_popularity_has_a_long_tail(world: SyntheticWorld) -> None:
    counts = np.sort(np.bincount(world.reviews.item, minlength=160))[::-1]
    assert counts[:32].sum() > 0.4 * counts.sum()
    assert counts[32:].sum() > 0.2 * counts.sum()


def test_kinds_have_their_shares(world: SyntheticWorld) -> None:
    kinds = Counter(row["kind"] for row in world.true_review_rows())
    assert kinds["off_topic"] / kinds.total() == pytest.approx(0.1, abs=0.03)
    assert kinds["contradictory"] / kinds.total() == pytest.approx(0.05, abs=0.02)


def test_texts_carry_their_persona(world: SyntheticWorld) -> None:
    """A word list per persona from its own lines: genuine texts use the words of the right persona of their category."""
    words: dict[tuple[str, str], set[str]] = {}
    for persona in world.vocabulary.personas:
        for category_id, cell in persona.cells.items():
            lines = [persona.who, cell.goal, cell.use, *(s for r in cell.reasons for s in (r.good, r.bad))]
            words[category_id, persona.persona_id] = set(
                re.findall(r"[a-z]{4,}", " ".join(line.source for line in lines).lower())
            )
    shelf = {row["item_id"]: row["category"] for row in world.true_item_rows()}
    right: dict[str, list[bool]] = defaultdict(list)
    for review, truth in zip(world.review_rows(), world.true_review_rows(), strict=True):
        if truth["text_persona_id"] is None:
            continue
        category_id = shelf[review["item_id"]]
        said = set(re.findall(r"[a-z]{4,}", review["text"].lower()))
        overlap = {p: len(said & known) for (c, p), known in words.items() if c == category_id}
        right[truth["kind"]].append(max(overlap, key=lambda p: overlap[p]) == truth["text_persona_id"])
    assert np.mean(right["genuine"]) > 0.9


def test_genuine_texts_are_rarely_identical(world: SyntheticWorld) -> None:
    rows = zip(world.review_rows(), world.true_review_rows(), strict=True)
    texts = [row["text"] for row, truth in rows if truth["kind"] == "genuine" and truth["repeats"] is None]
    assert len(set(texts)) > 0.98 * len(texts)


def test_texts_are_noisy_at_the_configured_shares(world: SyntheticWorld) -> None:
    texts = world.reviews.texts
    assert all(texts)
    assert not any(re.search(r"[{}|]", text) for text in texts)
    contacts = [text for text in texts if "@" in text or re.search(r"555|7946", text)]
    assert 5 <= len(contacts) <= 80
    assert all(re.search(r"@(mail\.)?example\.(com|org|net)|555.01\d\d|7946", text) for text in contacts)
    assert any(re.search(r"<br ?/?>", text) for text in texts)
    lengths = Counter(len(re.findall(r"[.!?](?:\s|<|$)", text)) for text in texts)
    assert len(lengths) >= 7


def test_noise_can_be_switched_off() -> None:
    silent = dict.fromkeys(
        ("typo_share", "shorthand_share", "emoji_share", "html_share", "contact_share", "off_topic_share"), 0.0
    )
    world = generate(SyntheticConfig(n_users=100, n_items=80, n_reviews=500, contradictory_share=0, **silent))
    assert {row["kind"] for row in world.true_review_rows()} == {"genuine"}
    assert all(
        re.fullmatch(r"[A-Z1].*[.!?]", text) and "<" not in text and "@" not in text for text in world.reviews.texts
    )


@pytest.mark.parametrize("n_personas", [2, 5, 11])
def test_a_smaller_cast_works(n_personas: int) -> None:
    world = generate(SyntheticConfig(n_latent_personas=n_personas, n_users=60, n_items=60, n_reviews=300))
    assert set(world.reviews.persona.tolist()) <= set(range(n_personas))
    assert (world.shop.weights.sum(axis=0) > 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_reviews": 100}, "too few"),
        ({"n_reviews": 60_000, "n_users": 100}, "too many"),
        ({"off_topic_share": 0.6, "contradictory_share": 0.5}, "exceed 1"),
        ({"new_item_days": 600}, "shorter"),
        ({"n_user": 3}, "Extra inputs"),
    ],
)
def test_impossible_configurations_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SyntheticConfig(**settings)


def test_a_catalogue_too_small_for_its_personas_is_refused() -> None:
    with pytest.raises(ConfigError, match="n_items=20 is too few"):
        generate(SyntheticConfig(n_items=20, n_users=60, n_reviews=100, cold_user_share=0.9))


def test_every_field_is_described() -> None:
    assert all(field.description for field in SyntheticConfig.model_fields.values())
