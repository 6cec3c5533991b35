from collections import Counter

import pytest
from pydantic import ValidationError

from persona_pipeline.sources.synthetic.large import LargeConfig, Layout
from persona_pipeline.sources.synthetic.large.layout import KINDS, ORIGINS, PLACES

SIZES = [
    (1_000, 100, 200),
    (2_345, 300, 400),
    (5_000, 50, 200),
    (200_000, 20_000, 4_000),
    (10_000_000, 1_000_000, 200_000),
]


def layout(reviews: int, users: int, items: int) -> Layout:
    return Layout(LargeConfig(n_reviews=reviews, n_users=users, n_items=items))


@pytest.mark.parametrize("size", SIZES)
def test_every_user_writes_and_all_reviews_are_written(size: tuple[int, int, int]) -> None:
    made = layout(*size)
    assert sum(tier.users for tier in made.tiers) == made.ordinary_users
    assert sum(tier.users * tier.reviews for tier in made.tiers) == made.rows
    assert made.tiers[0].first_user == made.tiers[0].first_row == 0
    assert all(tier.reviews < made.live_items // 2 + 100 for tier in made.tiers)


@pytest.mark.parametrize("size", SIZES)
def test_counts_add_up(size: tuple[int, int, int]) -> None:
    truth = layout(*size).truth()
    for told in (truth["reviews"], truth["with_increment"]):
        assert told["accepted"] + told["not_yet"] + sum(told["refused"].values()) == told["lines"]
    assert truth["with_increment"]["lines"] - truth["reviews"]["lines"] == truth["increment_lines"]


def test_the_wanted_skew() -> None:
    truth = layout(10_000_000, 1_000_000, 200_000).truth()
    assert (truth["hot_item"]["lines"], truth["heavy_user_reviews"]) == (2_000_000, 100_000)


def test_every_place_has_one_kind_and_no_review_is_repeated_by_two_kinds() -> None:
    places = Counter(place for first, last in KINDS.values() for place in range(first, last))
    assert places == Counter(range(PLACES))
    repeated = Counter(first + n for kind, first in ORIGINS.items() for n in range(KINDS[kind][1] - KINDS[kind][0]))
    assert set(repeated.values()) == {1}
    assert all(KINDS["plain"][0] <= place < KINDS["plain"][1] for place in repeated)


def test_spreading_is_a_permutation() -> None:
    for size in (1, 2, 19, 1_000, 6_500):
        factor, shift = layout(1_000, 100, 200).spread(size, 3)
        assert sorted((n * factor + shift) % size for n in range(size)) == list(range(size))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((1_000, 900, 200), "too few"),
        ((9_000, 50, 200), "too many for n_users"),
        ((50_000, 5_000, 200), "too many for n_items"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size: tuple[int, int, int], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        layout(*size)
