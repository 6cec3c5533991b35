"""Turn texts into keys that equal and nearly equal texts share: a hash of the normalised text, MinHash bands of it, and a sketch.

Everything is done for a whole batch at once (Arrow, numpy), no word is a Python object. Case, punctuation and white space
make no difference; scripts without spaces (Chinese, Japanese, Thai) count a character as a word. The longest text decides
nothing: only its first `MOST_WORDS` words are hashed into bands.

MinHash: Broder, "On the resemblance and containment of documents" (1997); by one hash of each shingle, its value in one of many
bins: Li, Owen, Zhang, "One Permutation Hashing" (2012), empty bins filled as by Shrivastava, "Optimal Densification for Fast and
Accurate Minwise Hashing" (2017); bands: Leskovec et al., Mining of Massive Datasets, 3.4; two bits of each: Li, König, "b-Bit
Minwise Hashing" (2010).
"""

from collections.abc import Iterable, Iterator
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SHINGLE = 2  # words
# Texts of similarity 0.9 meet in a band with probability 0.995, 0.85 with 0.97, 0.7 with 0.67, 0.5 with 0.17. Reviews of one
# category that have nothing to do with each other (0.005 on average) meet once in fifty billion pairs: with fewer rows, every
# text among ten million would meet several.
BANDS, ROWS = 6, 5
MOST_WORDS = 2_000
LONG, SHORT = 8, 4
"""Words of a text from which it has bands, and from which it has a key: fewer are said by many who never met."""
KEYS = [("words", pa.int32()), ("text_key", pa.int64()), ("sketch", pa.int64()), ("bands", pa.list_(pa.int64()))]
"""What is kept of a text to compare it by: its words; its `text_keys` where there are SHORT, and its `sketches` and `band_keys`
where there are LONG of them."""
_AT_ONCE = 500  # texts hashed together: their arrays, eight bytes a letter, stay in the processor's cache

_APOSTROPHES = ("'", "\u2019")  # inside words, where some write them and some do not
_NOT_WORD = r"[^\p{L}\p{M}\p{N}]+"
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
_IN_WORD = np.zeros(256, dtype=bool)  # by byte of UTF-8; what is none of a word beyond ASCII has become a space before
_IN_WORD[[*b"0123456789abcdefghijklmnopqrstuvwxyz", *range(128, 256)]] = True
ALIKE = 22
"""Bins in which the sketches of two texts agree at least, of BINS. Texts of similarity 0.9 do with probability 0.999, 0.85 with
0.99, 0.6 with 0.43, 0.5 with 0.15, 0.4 with 0.03 (binomial)."""
_MOST = np.uint64(2**64 - 1)
_PRIME = np.uint64(0x100000001B3)
_RNG = np.random.default_rng(20_261_130)  # part of the meaning of every key
BINS = BANDS * ROWS
_DONORS = np.stack([_RNG.permutation(np.delete(np.arange(BINS), place)) for place in range(BINS)])
"""For each bin the others, in the order in which it looks for a value while it has none."""
_PLACES = _RNG.integers(1, 2**63, SHINGLE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


class Words:
    """The words of a batch of texts as 64-bit hashes, text after text: `hashes[starts[i]:starts[i + 1]]` are those of text i."""

    def __init__(self, texts: pa.Array) -> None:
        plain, unspaced = _normalised(texts)
        _, offsets, data = plain.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[plain.offset : plain.offset + len(plain) + 1]
        letters = np.frombuffer(data or b"", dtype=np.uint8)[ends[0] : ends[-1]]
        # A word begins at a letter behind none, and where a text does.
        inside = np.zeros(len(letters) + 2, dtype=bool)
        inside[1:-1] = _IN_WORD[letters]
        ends = ends - ends[0]
        first = inside[1:] & ~inside[:-1]
        first[ends] |= inside[ends + 1]
        begins = np.flatnonzero(first)
        self.starts = np.searchsorted(begins, ends)
        self.hashes = _word_hashes(letters, inside[1:-1], begins)
        self.lengths = self.counts - unspaced // 2
        """Words of each text; in scripts without spaces, where every character is hashed as one, two characters."""

    @property
    def counts(self) -> np.ndarray:
        """Hashes of each text."""
        return np.diff(self.starts)


def with_text_keys(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add `KEYS` to batches with a column `text`."""
    for batch in batches:
        parts = [_keys(batch.column("text").slice(at, _AT_ONCE)) for at in range(0, batch.num_rows, _AT_ONCE)]
        keys = [pa.concat_arrays(arrays) for arrays in zip(*parts, strict=True)] or [pa.array([], k) for _, k in KEYS]
        schema = reduce(pa.Schema.append, (pa.field(*key) for key in KEYS), batch.schema)
        yield pa.RecordBatch.from_arrays([*batch.columns, *keys], schema=schema)


def text_keys(words: Words) -> np.ndarray:
    """Return one int64 a text, equal for texts of the same words in the same order."""
    counts = words.counts
    place = np.arange(len(words.hashes)) - np.repeat(words.starts[:-1], counts)
    powers = _powers(int(counts.max(initial=0)))
    return _mixed(_sums(words.hashes * powers[place], words.starts)).view(np.int64)


def signatures(words: Words) -> np.ndarray:
    """Return (texts, BINS) uint64: the least hash of a text's shingles in each bin. O(shingles), and BINS squared for a text.

    Of two texts, the share of bins that have the same is on average the similarity of their shingles. Texts of fewer words
    than a shingle have signatures that mean nothing.
    """
    shingles, starts = _shingles(words)
    texts = len(starts) - 1
    flat = np.full(texts * BINS, _MOST)
    bins = ((shingles >> np.uint64(32)) * np.uint64(BINS) >> np.uint64(32)).astype(np.int64)
    np.minimum.at(flat, np.repeat(np.arange(texts) * BINS, np.diff(starts)) + bins, shingles)
    lowest = flat.reshape(texts, BINS)
    there = lowest != _MOST
    few = np.flatnonzero(~there.all(axis=1))
    donors = _DONORS[np.arange(BINS), there[few][:, _DONORS].argmax(axis=2)]
    lowest[few] = np.where(there[few], lowest[few], np.take_along_axis(lowest[few], donors, axis=1))
    return lowest


def band_keys(signatures: np.ndarray) -> np.ndarray:
    """Return (texts, BANDS) int64: texts that share most of their shingles share at least one key of the same column."""
    keys = np.zeros((len(signatures), BANDS), dtype=np.uint64)
    for place in range(BINS):
        band = place // ROWS
        keys[:, band] = _mixed((keys[:, band] + signatures[:, place]) * _PRIME + np.uint64(band))
    return keys.view(np.int64)


def sketches(signatures: np.ndarray) -> np.ndarray:
    """Return one int64 a text: two bits of each bin, by which most texts that only share a band are told from similar ones."""
    found = np.zeros(len(signatures), dtype=np.uint64)
    for place in range(BINS):
        found = (found << np.uint64(2)) | (signatures[:, place] & np.uint64(3))
    return found.view(np.int64)


def similarities(left: pa.Array, right: pa.Array) -> np.ndarray:
    """Return the Jaccard similarity of the shingles of texts at equal places, 0 where neither has a shingle."""
    sets = [_distinct(Words(texts)) for texts in (left, right)]
    both = np.concatenate([np.stack([rows, shingles.view(np.int64)]) for rows, shingles in sets], axis=1)
    both = both[:, np.lexsort(both[::-1])]
    shared = np.flatnonzero((both[:, 1:] == both[:, :-1]).all(axis=0))
    common = np.bincount(both[0, shared], minlength=len(left))
    sizes = np.bincount(both[0], minlength=len(left))
    union = np.maximum(sizes - common, 1)
    found: np.ndarray = common / union
    return found


def _distinct(words: Words) -> tuple[np.ndarray, np.ndarray]:
    shingles, starts = _shingles(words)
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.lexsort((shingles, rows))
    rows, shingles = rows[order], shingles[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (shingles[1:] != shingles[:-1])
    return rows[first], shingles[first]


def _normalised(texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return lower-case texts whose words stand apart, and how many characters of each stand apart for want of spaces."""
    lower = pc.utf8_lower(pc.fill_null(texts, "").cast(pa.large_string()))
    beyond = pc.invert(pc.string_is_ascii(lower))
    unspaced = np.zeros(len(lower), dtype=np.int64)
    for apostrophe in _APOSTROPHES:
        lower = pc.replace_substring(lower, apostrophe, "")
    if not pc.any(beyond).as_py():
        return lower, unspaced
    found = lower.filter(beyond)
    unspaced[beyond.to_numpy(zero_copy_only=False)] = pc.count_substring_regex(found, _UNSPACED).to_numpy()
    spaced = pc.replace_substring_regex(found, _UNSPACED, r" \1 ")
    return pc.replace_with_mask(lower, beyond, pc.replace_substring_regex(spaced, _NOT_WORD, " ")), unspaced


def _word_hashes(letters: np.ndarray, inside: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Return a polynomial of the bytes of each word, mixed."""
    if not len(begins):
        return np.zeros(0, dtype=np.uint64)
    letters, inside, begins = letters[begins[0] :], inside[begins[0] :], begins - begins[0]
    place = np.arange(len(letters)) - np.repeat(begins, np.diff(begins, append=len(letters)))
    values = np.where(inside, letters, 0).astype(np.uint64) * _powers(int(place.max()) + 1)[place]
    return _mixed(_sums(values, np.append(begins, len(letters))))


def _shingles(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of all runs of SHINGLE words within a text, and where each text's begin."""
    counts = np.maximum(np.minimum(words.counts, MOST_WORDS) - SHINGLE + 1, 0)
    starts = np.concatenate([[0], np.cumsum(counts)])
    at = np.arange(starts[-1]) + np.repeat(words.starts[:-1] - starts[:-1], counts)
    total = np.zeros(len(at), dtype=np.uint64)
    for place, multiplier in enumerate(_PLACES):
        total += words.hashes[at + place] * multiplier
    return _mixed(total), starts


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return sums (modulo 2**64) of consecutive runs, 0 for an empty one."""
    total = np.concatenate([[np.uint64(0)], np.cumsum(values, dtype=np.uint64)])
    found: np.ndarray = total[starts[1:]] - total[starts[:-1]]
    return found


def _powers(count: int) -> np.ndarray:
    powers = np.full(max(count, 1), _PRIME, dtype=np.uint64)
    powers[0] = 1
    found: np.ndarray = np.cumprod(powers, dtype=np.uint64)
    return found


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return splitmix64's finalizer of each value: every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _keys(texts: pa.Array) -> list[pa.Array]:
    words = Words(texts)
    lengths, signed = words.lengths, signatures(words)
    bands, short = band_keys(signed), words.lengths < LONG
    offsets = pa.array(np.arange(len(texts) + 1) * bands.shape[1], pa.int32())
    return [
        pa.array(lengths, pa.int32(), mask=np.asarray(texts.is_null())),
        pa.array(text_keys(words), mask=lengths < SHORT),
        pa.array(sketches(signed), mask=short),
        pa.ListArray.from_arrays(offsets, pa.array(bands.ravel()), mask=pa.array(short)),
    ]
