"""An item's sentences become clusters, each several reviewers on one thing, for one request each (`per_cluster`).

The sentences of a cluster share a word, are near a middle one in meaning and are of reviews with like stars. What all of an
item's sentences have in common, that they are about this item, is taken out of their vectors first. The cluster that speaks
for the most reviewers is taken, its sentences are gone, and so on: clusters share no sentence, and what nobody else says is in
none.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.lexicon import load_lexicon
from persona_pipeline.extract.embedded.words import is_content, tokens, word_set
from persona_pipeline.extract.llm.cited import Cited
from persona_pipeline.extract.protocol import Embed
from persona_pipeline.extract.readable import same_words

NEAR = 0.25  # cosine of two sentences that share a word, less what the item's have in common, from which they speak of one thing
SHOWN = 6  # sentences of a cluster that a request shows, those nearest its middle: no request grows with the item
LIKED = 4.0  # stars from which a review is one of praise; praise and complaint of one thing are two clusters
_MOST = 4_000  # sentences looked at, of the reviews that come first
_COMMON = 0.25  # share of an item's sentences from which a word only says what the item is
_STEM = 6  # letters by which two words are one
_FEW = 20  # sentences; of fewer, no word can be called common
# Words of praise or blame that say neither who nor why, in any shop.
_OPINION = word_set(
    """best better favorite favourite happy recommend recommended highly disappointed pleased satisfied glad far simply
    absolutely definitely totally thanks worth bought buy buying received arrived"""
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Sentences that share a word, those nearest the middle first.

    Attributes:
        word: the form of the word that most of them have, in small letters.
        liked: whether they are of reviews of praise.
        members: all of them.
        shown: those a request shows.
    """

    word: str
    liked: bool
    members: tuple[Cited, ...]
    shown: tuple[Cited, ...]


def clusters(
    sentences: Sequence[Cited], embed: Embed, most: int, goods: AbstractSet[str] = frozenset()
) -> list[Cluster]:
    """At most `most`, the best supported first; none where no two reviewers speak of the same thing in words of their own.

    `goods` are words that stand for the item itself, and for nothing of it. O(n²) for the n sentences that hold one word.
    """
    order = sorted(sentences[:_MOST], key=lambda one: one.review.user_id)  # each reviewer's lie together
    if not order:
        return []
    vectors = _centred(embed([one.quote for one in order]))
    people = np.unique([one.review.user_id for one in order], return_inverse=True)[1]
    holders: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for place, (one, own) in enumerate(zip(order, _own_words(order, goods), strict=True)):
        for word in own:
            holders[word, one.review.rating >= LIKED].append(place)
    free = np.ones(len(order), bool)
    balls = {key: _ball(np.array(places), vectors, people) for key, places in sorted(holders.items())}
    found: list[Cluster] = []
    while len(found) < most and balls:
        key = max(balls, key=lambda key: balls[key][0])  # the first of equals
        strength, ball = balls.pop(key)
        if not strength:
            break
        members = [order[i] for i in ball]
        if len({same_words(one.quote) for one in members}) > 1:
            found.append(Cluster(_commonest(key[0], members), key[1], tuple(members), _shown(members)))
        free[ball] = False
        taken = set(ball.tolist())
        for other in [other for other in balls if taken.intersection(holders[other])]:
            places = np.array([i for i in holders[other] if free[i]], int)
            balls[other] = _ball(places, vectors, people)
    return found


def _ball(places: np.ndarray, vectors: np.ndarray, people: np.ndarray) -> tuple[float, np.ndarray]:
    """How much is behind the sentences near the best middle among `places`, and theirs, nearest first."""
    cosine = np.round(vectors[places] @ vectors[places].T, 6)  # no cluster hangs on the last bit
    np.fill_diagonal(cosine, 1)
    near = np.where(cosine >= NEAR, cosine, 0)
    first = np.flatnonzero(np.diff(people[places], prepend=-1))
    if len(first) < 2:  # one reviewer
        return 0.0, places
    voices = np.maximum.reduceat(near, first, axis=1)  # (n, reviewers)
    strength = voices.sum(axis=1) * ((voices > 0).sum(axis=1) > 1)
    middle = int(strength.argmax())
    ball = sorted(np.flatnonzero(near[middle]), key=lambda i: (-near[middle, i], i))
    return float(strength[middle]), places[ball]


def _centred(vectors: np.ndarray) -> np.ndarray:
    """Less what all have in common, if they are enough to tell."""
    if len(vectors) < _FEW:
        return vectors
    vectors = vectors - vectors.mean(axis=0)
    centred: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return centred


def _own_words(sentences: Sequence[Cited], goods: AbstractSet[str]) -> list[list[str]]:
    """Stems of each sentence's words that may be what it speaks of: no opinion, not the item, nothing of its sale."""
    lexicon = load_lexicon().lexicon
    mute = _OPINION | lexicon.praise | lexicon.blame | lexicon.liking | lexicon.disliking | lexicon.well | lexicon.sale
    words = [{stem(w) for w in tokens(one.quote) if is_content(w) and w not in mute} for one in sentences]
    count = Counter(word for own in words for word in own)
    common = {word for word, n in count.items() if len(sentences) >= _FEW and n > _COMMON * len(sentences)}
    common |= {stem(word) for word in goods | lexicon.general_nouns}
    return [sorted(own - common) for own in words]


def stem(word: str) -> str:
    """Its first letters without a possessive or a plural, in which inflections of one word are mostly alike."""
    word = word.removesuffix("'s")
    return (word.removesuffix("s") if not word.endswith("ss") else word)[:_STEM]


def _commonest(wanted: str, members: Sequence[Cited]) -> str:
    forms = Counter(word for one in members for word in tokens(one.quote) if stem(word) == wanted)
    return min(forms, key=lambda form: (-forms[form], form))


def _shown(members: Sequence[Cited]) -> tuple[Cited, ...]:
    """The first ones, a reviewer's second after everybody's first."""
    said = Counter[str]()
    turns = []
    for one in members:
        turns.append((said[one.review.user_id], one))
        said[one.review.user_id] += 1
    return tuple(one for _, one in sorted(turns, key=lambda turn: turn[0])[:SHOWN])
