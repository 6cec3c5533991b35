import random

import numpy as np
import pyarrow as pa
import pytest
from costs import grows_no_faster
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.sources.near_duplicates import (
    ALIKE,
    BANDS,
    BINS,
    SHINGLE,
    Words,
    band_keys,
    meetings,
    shingle_sets,
    signatures,
    similarities,
    sketches,
    text_keys,
)

TEXT = "I have been playing for twelve years and this is the best strap I ever had on any of my guitars"


def _array(*texts: str | None) -> pa.Array:
    return pa.array(texts, pa.string())


def _keys(*texts: str | None) -> list[int]:
    keys: list[int] = text_keys(Words(_array(*texts))).tolist()
    return keys


def test_words_of_every_script_are_counted() -> None:
    texts = _array("Great product!", None, "", "don't stop", "这个产品 好", "àb “quote”—dash…", "...", "4 K-tv", "ดีมาก")
    words = Words(texts)
    assert words.counts.tolist() == [2, 0, 0, 2, 5, 3, 0, 3, 5]
    # Two characters of a script without spaces are about a word.
    assert words.lengths.tolist() == [2, 0, 0, 2, 3, 3, 0, 3, 3]


def test_case_punctuation_and_white_space_make_no_difference() -> None:
    great, same, other, order = _keys(
        "Great product, don't wait!", "great  PRODUCT\ndon’t wait", "great products", "product great"
    )
    assert great == same
    assert len({great, other, order}) == 3
    assert _keys("ÉTÉ ÇA", "été ça")[0] == _keys("été, ça!")[0]


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=8))
def test_a_batch_says_what_each_text_says_alone(texts: list[str | None]) -> None:
    whole = Words(_array(*texts))
    alone = [Words(_array(text)) for text in texts]
    assert whole.counts.tolist() == [words.counts[0] for words in alone]
    assert text_keys(whole).tolist() == [text_keys(words)[0] for words in alone]
    enough = whole.counts >= SHINGLE
    expected = np.concatenate([band_keys(signatures(words)) for words in alone])
    assert (band_keys(signatures(whole))[enough] == expected[enough]).all()


def test_a_slice_is_read_as_what_it_is() -> None:
    texts = _array("one two three", TEXT, "four five six", "seven")
    assert text_keys(Words(texts.slice(1, 2))).tolist() == text_keys(Words(texts))[1:3].tolist()


def test_batches_without_a_word() -> None:
    assert band_keys(signatures(Words(_array()))).shape == (0, BANDS)
    assert band_keys(signatures(Words(_array("", None)))).shape == (2, BANDS)
    assert len(set(_keys("", None, "..."))) == 1


def test_similarity_by_hand() -> None:
    # Pairs of neighbours: ab bc cd de | ab bc cd df: three of five. A pair said twice counts once.
    left = _array("a b c d e", "a b", "x", "a b a b", None)
    found = similarities(shingle_sets(left), shingle_sets(_array("A, b; c d f", "c d", "x", "a b a", "a b")))
    assert found.tolist() == [3 / 5, 0, 0, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30), st.integers(1, 4))
def test_texts_of_a_band_meet_its_ends(rows: list[tuple[int, int]], crowd: int) -> None:
    """A text's sketch is its key's: of ten, the even ones are alike, and so are the odd ones."""
    bands: dict[int, list[int]] = {}
    for band, key in rows:
        bands.setdefault(band, []).append(key)
    expected = {
        (max(key, end), min(key, end))
        for keys in bands.values()
        if len(keys) >= crowd
        for end in (min(keys), max(keys))
        for key in keys
        if key != end and (key - end) % 2 == 0
    }
    columns = [[key for _, key in rows], [0 if key % 2 else -1 for _, key in rows], [band for band, _ in rows]]
    arrays = [pa.array(column, pa.int64()) for column in columns]
    batch = pa.RecordBatch.from_arrays(arrays, names=["text_key", "sketch", "band"])
    for batches in ([batch.slice(0, 3), batch.slice(3)], [batch]):
        (found,) = meetings(batches, crowd)
        pairs = [(row["text_key"], row["near"]) for row in found.to_pylist()]
        assert sorted(pairs) == sorted(expected)
    assert [found.num_rows for found in meetings([], crowd)] == [0]


@pytest.mark.parametrize(("changed", "at_least"), [(0, 1.0), (1, 0.9), (2, 0.7)])
def test_near_texts_share_a_band(changed: int, at_least: float) -> None:
    rng = random.Random(0)
    words = [f"w{i}" for i in range(30)]
    pairs = 300
    met = 0
    for pair in range(pairs):
        left = [f"{word}x{pair}" for word in words]
        right = list(left)
        for place in rng.sample(range(30), changed):
            right[place] = "other"
        keys = band_keys(signatures(Words(_array(" ".join(left), " ".join(right)))))
        met += bool((keys[0] == keys[1]).any())
    assert met >= at_least * pairs


def test_far_texts_share_no_band() -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices([f"w{i}" for i in range(2_000)], k=60)) for _ in range(1_000)]
    keys = band_keys(signatures(Words(_array(*texts))))
    assert all(len(set(column)) == len(texts) for column in keys.T.tolist())


def test_time_grows_with_the_words_and_no_faster() -> None:
    def work(count: int) -> None:
        words = Words(_array(*["word and other words " * 25] * count))
        text_keys(words)
        band_keys(signatures(words))

    assert grows_no_faster(work, 4_000)


@pytest.mark.parametrize(("changed", "least", "most"), [(0, 1.0, 1.0), (1, 0.98, 1.0), (6, 0.0, 0.2), (10, 0.0, 0.02)])
def test_sketches_tell_texts_that_are_alike(changed: int, least: float, most: float) -> None:
    """One word of thirty changed is a similarity of 27/31, six 17/41, ten less than a third."""
    rng, pairs = random.Random(0), 500
    left = [[f"w{i}x{pair}" for i in range(30)] for pair in range(pairs)]
    right = [list(words) for words in left]
    for words in right:
        for place in rng.sample(range(0, 30, 2), changed):
            words[place] = "other"
    one, other = (sketches(signatures(Words(_array(*map(" ".join, texts))))) for texts in (left, right))
    differ = one ^ other
    agreeing = BINS - np.array([f"{(d | d >> 1) & 0x5555555555555555:b}".count("1") for d in differ.tolist()])
    assert least <= np.mean(agreeing >= ALIKE) <= most
