"""An item's sentences become clusters, each one point that several reviewers make, for one request each (`per_cluster`).

A cluster is a ball: a sentence with those that are near it in meaning, share a word with it and are of reviews with like
stars. What all of an item's sentences have in common, that they are about this item, is taken out of their vectors first. The
ball that speaks for the most reviewers is taken, its sentences are gone, and so on: clusters share no sentence, and what
nobody else says is in none.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from persona_pipeline.extract.embedded.words import is_content, tokens, word_set
from persona_pipeline.extract.llm.cited import Cited
from persona_pipeline.extract.protocol import Embed

NEAR = 0.45  # cosine of two sentences, less what the item's have in common, from which they make the same point
SHOWN = 6  # sentences of a cluster that a request shows, those nearest its middle: no request grows with the item
LIKED = 4.0  # stars from which a review is one of praise; praise and complaint of one thing are two clusters
_MOST = 4_000  # sentences looked at, of the reviews that come first
_OWN_WORDS = 2  # words of its own that a sentence needs to make a point
_COMMON = 0.25  # share of an item's sentences from which a word only says what the item is
_STEM = 6  # letters by which two words are one
_FEW = 20  # sentences; of fewer, no word can be called common
# Words of praise or blame that say neither who nor why, in any shop.
_OPINION = word_set(
    """great good excellent best better love loved loves favorite favourite happy recommend recommended highly nice
    perfect awesome amazing wonderful fantastic product products item items buy bought purchase purchased bad worst
    terrible awful horrible disappointed pleased satisfied glad enjoy enjoyed like liked far simply absolutely
    definitely totally review reviews star stars thanks thank worth choice"""
)


def telling(sentences: Sequence[Cited]) -> list[Cited]:
    """Those that make a point: with two words or more that neither only praise nor only say what the item is."""
    words = _own_words(sentences[:_MOST])
    return [one for one, own in zip(sentences, words, strict=False) if len(own) >= _OWN_WORDS]


def clusters(sentences: Sequence[Cited], embed: Embed, most: int) -> list[list[Cited]]:
    """At most `most` clusters of at most `SHOWN` sentences, each nearest its middle first; the best supported cluster first.

    Where no two reviewers make the same point, the one cluster is the first reviewer's. O(n²) for n sentences.
    """
    if not sentences:
        return []
    order = sorted(range(len(sentences)), key=lambda i: sentences[i].review.user_id)  # each reviewer's lie together
    told = [sentences[i] for i in order]
    people = [one.review.user_id for one in told]
    first = [i for i, person in enumerate(people) if i == 0 or person != people[i - 1]]
    near = _nearness(told, embed([one.quote for one in told]))
    found: list[list[Cited]] = []
    free = np.ones(len(told), bool)
    while len(found) < most:
        voices = np.maximum.reduceat(near * (free & free[:, None]), first, axis=1)  # (n, reviewers)
        strength = voices.sum(axis=1) * ((voices > 0).sum(axis=1) > 1)
        if not strength.any():
            break
        middle = int(strength.argmax())
        ball = np.flatnonzero((near[middle] > 0) & free)
        free[ball] = False
        found.append(_shown(sorted(ball, key=lambda i: (-near[middle, i], i)), told))
    return found or [[one for one in sentences if one.review == sentences[0].review][:SHOWN]]


def _nearness(told: Sequence[Cited], vectors: np.ndarray) -> np.ndarray:
    """Cosine of each two sentences that may make the same point, else 0, (n, n): near, with like stars, and a word in common."""
    if len(vectors) > 2:
        vectors = vectors - vectors.mean(axis=0)
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    cosine: np.ndarray = np.round(vectors @ vectors.T, 6)  # no cluster hangs on the last bit
    np.fill_diagonal(cosine, 1)
    liked = np.array([one.review.rating >= LIKED for one in told])
    words = _own_words(told)
    places = {word: i for i, word in enumerate(dict.fromkeys(word for own in words for word in sorted(own)))}
    rows = [i for i, own in enumerate(words) for _ in own]
    columns = [places[word] for own in words for word in own]
    holds = csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), (len(told), max(1, len(places))))
    shared = (holds @ holds.T).toarray() > 0
    return np.where((cosine >= NEAR) & (liked[:, None] == liked) & shared, cosine, 0)


def _own_words(sentences: Sequence[Cited]) -> list[set[str]]:
    """Stems of each sentence's words that say more than an opinion and more than what the item is."""
    words = [{_stem(w) for w in tokens(one.quote) if is_content(w) and w not in _OPINION} for one in sentences]
    count = Counter(word for own in words for word in own)
    common = {word for word, n in count.items() if len(sentences) >= _FEW and n > _COMMON * len(sentences)}
    return [own - common for own in words]


def _stem(word: str) -> str:
    """Its first letters without a possessive or a plural, in which inflections of one word are mostly alike."""
    word = word.removesuffix("'s")
    return (word.removesuffix("s") if not word.endswith("ss") else word)[:_STEM]


def _shown(ball: Sequence[int], told: Sequence[Cited]) -> list[Cited]:
    """Of sentences in order the first ones, a reviewer's second after everybody's first."""
    said = Counter[str]()
    turns = []
    for i in ball:
        person = told[i].review.user_id
        turns.append((said[person], i))
        said[person] += 1
    return [told[i] for _, i in sorted(turns, key=lambda turn: turn[0])[:SHOWN]]
