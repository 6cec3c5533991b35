"""Titles, descriptions and categories of items, in the shapes that catalogues give them."""

from typing import Any

import pytest
from costs import grows_no_faster

from persona_pipeline.sources.item_fields import categories, described, one_text, texts

CATEGORIES: list[tuple[Any, bool, list[str]]] = [
    ("Home > Kitchen > Kettles", False, ["Home", "Kitchen", "Kettles"]),
    ("Home|Kitchen", False, ["Home", "Kitchen"]),
    ("Home / Kitchen; Kettles", False, ["Home", "Kitchen", "Kettles"]),
    ("AC/DC", False, ["AC/DC"]),
    ("Shopping, Fashion, Department Stores", True, ["Shopping", "Fashion", "Department Stores"]),
    ("Clothing, Shoes & Jewelry", False, ["Clothing, Shoes & Jewelry"]),
    (["Clothing, Shoes & Jewelry", "Men"], True, ["Clothing, Shoes & Jewelry", "Men"]),
    (["Home|Kitchen"], False, ["Home", "Kitchen"]),
    (["Tea &amp; Coffee"], False, ["Tea & Coffee"]),
    ([["Home", "Kitchen", "Kettles"]], False, ["Home", "Kitchen", "Kettles"]),
    ([["Home", "Kitchen"], ["Gifts", "Kitchen"]], False, ["Home", "Kitchen", "Gifts"]),
    ({"main": "Home"}, False, ["Home"]),
    ([{"name": "Home", "id": 4}, {"title": "Kitchen", "url": "x"}], False, ["Home", "Kitchen"]),
    ([1, 2], False, ["1", "2"]),
    (["Home", None, "", "NaN", "Home"], False, ["Home"]),
    ("Home \n\t >\u00a0 Kitchen  Knives", False, ["Home", "Kitchen Knives"]),
    (f"&#{'9' * 5_000};", False, [f"&#{'9' * 5_000}"]),
    ("(no genres listed)", False, []),
    (None, False, []),
    ([], False, []),
    ({}, False, []),
]


@pytest.mark.parametrize(("value", "by_comma", "expected"), CATEGORIES)
def test_categories(value: Any, by_comma: bool, expected: list[str]) -> None:
    assert categories(value, by_comma) == expected


@pytest.mark.parametrize("between", [" ", "\n", " /", " ;"])
def test_categories_cost_in_proportion_to_their_length(between: str) -> None:
    assert grows_no_faster(lambda size: categories(f"a{between * size}b", True), 50_000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("A kettle", "A kettle"),
        (["One.", "Two."], "One. Two."),
        ([["One."], [None, "Two."]], "One. Two."),
        (42, "42"),
        ("NaN", None),
        ([], None),
        ({"name": "Ana", "about": "more"}, "Ana"),
        ({"$oid": "x"}, "x"),
        (True, "true"),
    ],
)
def test_one_text(value: Any, expected: str | None) -> None:
    assert one_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {
                "WiFi": "u'free'",
                "BusinessParking": "{'street': True, 'lot': False}",
                "NoiseLevel": "'loud'",
                "Caters": "True",
            },
            "Wi Fi: free, Business Parking: street, Noise Level: loud, Caters: True",
        ),
        ({"good_for": {"kids": True, "groups": False}, "none": None}, "good for: kids"),
        ({"Music": "{'dj': False}", "odd": "{'a'", "sizes": {"s": 1, "l": [2, 3]}}, "odd: {'a', sizes: s: 1, l: 2 3"),
        ({"a": {}}, None),
        (["First part.", "Second part."], "First part. Second part."),
    ],
)
def test_described(value: Any, expected: str | None) -> None:
    assert described(value) == expected


def test_what_is_nested_beyond_measure_is_left_out() -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    assert list(texts(["kept", deep])) == ["kept"]
    held: Any = "x"
    for _ in range(900):
        held = {"k": held}
    assert described(held) is None
