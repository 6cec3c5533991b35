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

_APOSTROPHES = ("'", "\u2019")  # inside words, where some write them and some do not
_NOT_WORD = r"[^\p{L}\p{M}\p{N}]+"
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
# By byte of UTF-8; what is none of a word beyond ASCII has become a space before.
_LETTERS = np.full(256, ord(" "), dtype=np.uint8)
for _letter in (*b"0123456789abcdefghijklmnopqrstuvwxyz", *range(128, 256)):
    _LETTERS[_letter] = _letter
ALIKE = 22
"""Bins in which the sketches of two texts agree at least, of BINS. Texts of similarity 0.9 do with probability 0.999, 0.85 with
0.99, 0.6 with 0.43, 0.5 with 0.15, 0.4 with 0.03 (binomial)."""
_LOW_BITS = np.uint64(0x5555555555555555)
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
        split = pc.ascii_split_whitespace(_spaced(plain))
        words = split.values.dictionary_encode()
        which = words.indices.to_numpy()
        # Spaces at either end of a text leave an empty word there.
        there = which != pc.index(words.dictionary, pa.scalar("", words.dictionary.type)).as_py()
        self.starts = np.concatenate([[0], np.cumsum(there)])[split.offsets.to_numpy()]
        self.hashes = _word_hashes(words.dictionary)[which[there]]
        self.lengths = self.counts - unspaced // 2
        """Words of each text; in scripts without spaces, where every character is hashed as one, two characters."""

    @property
    def counts(self) -> np.ndarray:
        """Hashes of each text."""
        return np.diff(self.starts)


def with_text_keys(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add `KEYS` to batches with a column `text`."""
    for batch in batches:
        schema = reduce(pa.Schema.append, (pa.field(*key) for key in KEYS), batch.schema)
        yield pa.RecordBatch.from_arrays([*batch.columns, *_keys(batch.column("text"))], schema=schema)


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


def meetings(batches: Iterable[pa.RecordBatch], crowd: int) -> Iterator[pa.RecordBatch]:
    """Return pairs of text keys, the smaller as `near`, that a band brings together and whose sketches are alike.

    `batches` (text_key, sketch, band) hold all rows of their bands. A text is paired with the smallest and with the greatest key
    of a band, where `crowd` rows or more are in it. Sorts them, O(n log n), in some 100 bytes a row.
    """
    columns = [np.zeros(0, dtype=np.int64)] * 3
    if rows := list(batches):
        table = pa.Table.from_batches(rows)
        columns = [table[name].to_numpy() for name in ("text_key", "sketch", "band")]
    order = np.lexsort((columns[0], columns[2]))
    keys, sketches, bands = (column[order] for column in columns)
    begins = np.flatnonzero(np.append(True, bands[1:] != bands[:-1])[: len(bands)])
    sizes = np.diff(begins, append=len(bands))
    first, last = np.repeat(begins, sizes), np.repeat(begins + sizes - 1, sizes)
    here = np.flatnonzero((np.repeat(sizes, sizes) >= crowd) & (keys[first] != keys[last]))
    found = []
    for end in (first[here], last[here]):
        alike = (keys[here] != keys[end]) & (_bins_that_differ(sketches[here], sketches[end]) <= BINS - ALIKE)
        ours, theirs = keys[here[alike]], keys[end[alike]]
        found.append(np.stack([np.maximum(ours, theirs), np.minimum(ours, theirs)], axis=1))
    pairs = np.concatenate(found)
    pairs = pairs[np.lexsort(pairs.T)]
    pairs = pairs[np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))[: len(pairs)]]
    yield pa.RecordBatch.from_arrays([pa.array(pairs[:, 0]), pa.array(pairs[:, 1])], names=["text_key", "near"])


def _bins_that_differ(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """In how many bins two arrays of sketches differ."""
    differ = (left ^ right).view(np.uint64)
    found: np.ndarray = np.bitwise_count((differ | (differ >> np.uint64(1))) & _LOW_BITS)
    return found


def shingle_sets(texts: pa.Array) -> pa.ListArray:
    """Return the distinct shingles of each text, in order, as hashes of 31 bits: sets to compare by `similarities`."""
    shingles, starts = _shingles(Words(texts))
    rows = np.repeat(np.arange(len(texts)), np.diff(starts))
    sets = np.unique(_in_rows(rows, shingles >> np.uint64(33)))
    places = np.searchsorted(sets >> np.uint64(32), np.arange(len(texts) + 1))
    return pa.ListArray.from_arrays(pa.array(places, pa.int32()), pa.array(sets.astype(np.uint32).view(np.int32)))


def similarities(left: pa.ListArray, right: pa.ListArray) -> np.ndarray:
    """Return the Jaccard similarity of `shingle_sets` at equal places, 0 where both are empty.

    Two shingles that differ are taken for the same once in 2**31: of two texts of a hundred words one pair in 200,000 has such.
    """
    sides = [np.repeat(np.arange(len(sets)), pc.list_value_length(sets).to_numpy()) for sets in (left, right)]
    rows = np.concatenate(sides)
    both = np.sort(_in_rows(rows, np.concatenate([sets.flatten().to_numpy() for sets in (left, right)])))
    shared = both[1:][both[1:] == both[:-1]]
    common = np.bincount((shared >> np.uint64(32)).astype(np.int64), minlength=len(left))
    union = np.maximum(np.bincount(rows, minlength=len(left)) - common, 1)
    found: np.ndarray = common / union
    return found


def _in_rows(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of 31 bits with the row of each before it, as one number."""
    found: np.ndarray = (rows.astype(np.uint64) << np.uint64(32)) | values.astype(np.uint64)
    return found


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


def _spaced(texts: pa.Array) -> pa.Array:
    """Texts in which every byte that is of no word has become a space."""
    _, offsets, data = texts.buffers()
    letters = _LETTERS[np.frombuffer(data or b"", dtype=np.uint8)]
    return pa.Array.from_buffers(texts.type, len(texts), [None, offsets, pa.py_buffer(letters)], offset=texts.offset)


def _word_hashes(words: pa.Array) -> np.ndarray:
    """Return a polynomial of the bytes of each word, mixed."""
    _, offsets, data = words.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64)[: len(words) + 1]
    letters = np.frombuffer(data or b"", dtype=np.uint8)[: starts[-1]]
    lengths = np.diff(starts)
    place = np.arange(len(letters)) - np.repeat(starts[:-1], lengths)
    return _mixed(_sums(letters * _powers(int(lengths.max(initial=0)))[place], starts))


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
