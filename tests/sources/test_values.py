"""Values are taken from the characters a file has: ids, numbers and moments in every spelling that programs write."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.sources.shapes import LINE_DECODER
from persona_pipeline.sources.values import MISSING, NotScalar, Number, characters, identity, moment, number

JUNE = datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", " ", "\t", *sorted(MISSING), *(f" {word} " for word in sorted(MISSING))])
def test_missing_in_all_spellings(value: Any) -> None:
    assert characters(value) is None


@pytest.mark.parametrize("value", ["0", "-", "no", "Nan", "nil", "Null & Void", "n / a", "NANA", "false"])
def test_what_only_looks_like_it_is_a_value(value: str) -> None:
    assert characters(value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" x ", "x"),
        ("a  b", "a  b"),
        (7, "7"),
        (7.5, "7.5"),
        ({"$oid": "507f1f77bcf86cd799439011"}, "507f1f77bcf86cd799439011"),
        ({"$numberLong": "1718000000"}, "1718000000"),
        ({"$numberInt": "4"}, "4"),
        ({"$numberDouble": "4.5"}, "4.5"),
        ({"$date": "2024-06-10T06:13:20Z"}, "2024-06-10T06:13:20Z"),
        ({"$date": {"$numberLong": "1718000000000"}}, "1718000000000"),
        ({"$date": None}, None),
    ],
)
def test_characters_of_a_value(value: Any, text: str | None) -> None:
    assert characters(value) == text


@pytest.mark.parametrize(
    "value",
    [[], ["u1"], {}, {"id": "u1"}, {"$oid": "a", "more": 1}, {"$timestamp": {"t": 1, "i": 2}}, True, False, {"a"}, b"u1", {7: 1}],
)  # fmt: skip
def test_what_is_no_single_value(value: Any) -> None:
    with pytest.raises(NotScalar):
        characters(value)


def test_objects_within_objects_have_an_end() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = {"$oid": deep}
    with pytest.raises(NotScalar, match="an object"):
        characters(deep)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('"007"', "007"),
        ("7", "7"),
        ("7.0", "7"),
        ('"7.0"', "7"),
        ('"7.00"', "7"),
        ("7.5", "7.5"),
        ("1e5", "100000"),
        ("1.0E9", "1000000000"),
        ("1.25e1", "12.5e0".replace("12.5e0", "1.25e1")),
        ('"1e5"', "1e5"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("12345678901234567890.0", "12345678901234567890"),
        ("1e400", "1e400"),
        ("-0", "-0"),
        ('"a b"', "a b"),
        ('"a/b\\"c\\n d"', 'a/b"c\n d'),
        ('"\\u0000x"', "\0x"),
        ('"Ünïcode"', "Ünïcode"),
    ],
)
def test_an_id_is_one_however_it_is_written(written: str, name: str) -> None:
    value, _ = LINE_DECODER.raw_decode(written)
    text = characters(value)
    assert text is not None
    assert identity(text) == name
    assert type(identity(text)) is str


@given(st.integers(0, 10**30))
def test_a_whole_number_is_the_same_id_as_text_number_and_float(whole: int) -> None:
    assert identity(str(whole)) == identity(f"{whole}.0") == identity(Number(f"{whole}.0")) == str(whole)


@pytest.mark.parametrize(
    ("text", "value"),
    [("4", 4), ("4.50", 4.5), ("+4", 4), (".5", 0.5), ("4.", 4), ("-0", 0), ("5e0", 5), ("0004", 4), ("-1", -1)],
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["five", "5/5", "4,5", "Infinity", "-Infinity", "1e999", "0x5", "5 stars", "٥", "1_0", "--1", "5" * 99]
)
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


MOMENTS: list[tuple[str, datetime]] = [
    ("1718000000", JUNE),
    ("1718000000000", JUNE),
    ("1718000000000000", JUNE),
    ("1718000000000000000", JUNE),
    ("1718000000.0", JUNE),
    ("1718000000.5", JUNE + timedelta(seconds=0.5)),
    ("1718000000000.0", JUNE),
    ("1.718E9", datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC)),
    ("1.718e+12", JUNE),
    ("1.718E18", JUNE),
    ("+1718000000", JUNE),
    ("999999999", datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC)),
    ("20240610", datetime(2024, 6, 10, tzinfo=UTC)),
    ("20240610.0", datetime(2024, 6, 10, tzinfo=UTC)),
    ("20240610061320", JUNE),
    ("2024-06-10", datetime(2024, 6, 10, tzinfo=UTC)),
    ("2024-6-1", datetime(2024, 6, 1, tzinfo=UTC)),
    ("2024/06/10", datetime(2024, 6, 10, tzinfo=UTC)),
    ("2024/06/10 06:13:20", JUNE),
    ("2024-06-10T06:13:20", JUNE),
    ("2024-06-10 06:13:20", JUNE),
    ("2024-06-10 6:13:20", JUNE),
    ("2024-06-10T06:13:20Z", JUNE),
    ("2024-06-10 06:13:20Z", JUNE),
    ("2024-06-10 06:13:20 UTC", JUNE),
    ("2024-06-10T08:13:20+02:00", JUNE),
    ("2024-06-10T08:13:20+0200", JUNE),
    ("2024-06-10 08:13:20 +0200", JUNE),
    ("2024-06-10 08:13:20 +02:00", JUNE),
    ("2024-06-10T06:13:20.5Z", JUNE + timedelta(seconds=0.5)),
    ("2024-06-10T06:13:20.500000000Z", JUNE + timedelta(seconds=0.5)),
    ("2024-06-10T06:13", datetime(2024, 6, 10, 6, 13, tzinfo=UTC)),
    ("Mon, 10 Jun 2024 06:13:20 GMT", JUNE),
    ("Mon, 10 Jun 2024 08:13:20 +0200", JUNE),
    ("Mon Jun 10 01:13:20 -0500 2024", JUNE),
    ("06 10, 2024", datetime(2024, 6, 10, tzinfo=UTC)),
    ("June 10, 2024", datetime(2024, 6, 10, tzinfo=UTC)),
    ("Jun 10, 2024", datetime(2024, 6, 10, tzinfo=UTC)),
    ("10 June 2024", datetime(2024, 6, 10, tzinfo=UTC)),
    ("9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
]


@pytest.mark.parametrize(("text", "expected"), MOMENTS)
def test_moments(text: str, expected: datetime) -> None:
    found = moment(text)
    assert found is not None
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "yesterday",
            "13/09/2018",
            "09/13/2018",
            "10.06.2024",
            "2024",
            "2024-06-31",
            "2024-13-01",
            "20241301",
            "-1",
            "1e30",
        ),
        *(
            "1" * 30,
            "9999-12-31T23:59:59-05:00",
            "0000-00-00",
            "0001-01-01T00:00:00+05:00",
            "Mon, 99 Jun 2024",
            "Jun",
            ",",
            "x,y",
        ),
    ],
)
def test_what_is_no_moment_or_could_be_two(text: str) -> None:
    found = moment(text)
    assert found is None or found < 631_152_000_000_000  # "2024" are seconds of 1970: nobody's review


def test_a_form_says_what_comes_first() -> None:
    tenth_of_june = moment("2024-06-10")
    assert moment("10.06.2024", "%d.%m.%Y") == tenth_of_june
    assert moment("10/06/24", "%d/%m/%y") == tenth_of_june
    assert moment("06/10/2024", "%m/%d/%Y") == tenth_of_june
    assert moment("06/10/2024 02:00 +0200", "%m/%d/%Y %H:%M %z") == tenth_of_june
    assert moment("2024-06-10", "%d.%m.%Y") is None


@given(st.text(min_size=1, max_size=40))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    found = moment(text)
    assert found is None or -(10**18) < found < 253_402_300_800_000_000


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)), st.sampled_from(["s", "ms", "us", "ns"]), st.booleans()
)
def test_a_moment_is_the_same_in_every_unit(when: datetime, unit: str, as_float: bool) -> None:
    whole = when.replace(microsecond=0, tzinfo=UTC)
    seconds = int(whole.timestamp())
    written = str(seconds * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]) + (".0" if as_float else "")
    assert moment(written) == moment(whole.isoformat()) == seconds * 1_000_000
