"""An item's remarks become clusters, each one reason of one kind of people.

Remarks that fit a motive gather around it. The rest is clustered by k-means, with as many clusters as the silhouette
favours, and each of those is kept only if its reviewers share a word for what they praise. Groups with too few reviewers
join the parent of their motive or are given up. Complaints stay apart from praise, and the strongest complaint keeps a
place even where praise would fill all of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Motive, Vocabulary
from persona_pipeline.extract.embedded.words import Background

MIN_SILHOUETTE = 0.03
CLEAR = 0.7  # fit that at least one remark of a motive's cluster must have
DUPLICATE = 0.9  # cosine of two clusters' centroids from which they say the same
MANY_REVIEWERS = 8  # from here on one reviewer alone is no persona
MIN_THEME = 3  # reviewers who must share a word to be a persona of their own
EVERYWHERE = 0.3  # a word that this share of an item's reviewers use is what the item is, not what sets anyone apart


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Remarks with one message: a motive's, or about one `thing` (base form), or, with neither, plain content or discontent."""

    motive: Motive | None
    thing: str
    critical: bool
    remarks: tuple[Remark, ...]

    @property
    def support(self) -> int:
        """Distinct reviewers."""
        return reviewers(self.remarks)

    @property
    def centroid(self) -> np.ndarray:
        mean: np.ndarray = np.mean([remark.vector for remark in self.remarks], axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)

    @property
    def strength(self) -> float:
        """What decides who gets a place: reviewers, with diminishing returns so that telling motives beat mass."""
        return (self.motive.weight if self.motive else 0.7) * float(np.sqrt(self.support))


def reviewers(remarks: Iterable[Remark]) -> int:
    """Distinct people behind remarks."""
    return len({remark.review.user_id for remark in remarks})


def cluster_remarks(
    remarks: Sequence[Remark], vocabulary: Vocabulary, background: Background, most: int
) -> list[Cluster]:
    """At most `most` clusters, most supported first; none only if there are no remarks."""
    remarks = sorted(remarks, key=lambda r: (r.quote, r.review.review_id, r.sentence.start))
    # Where no two reviewers agree on anything, single voices are heard after all.
    for least in (2, 1) if reviewers(remarks) >= MANY_REVIEWERS else (1,):
        clusters = _praise(remarks, vocabulary, background, least, most) + _complaints(remarks, vocabulary, least)
        if clusters:
            return _choose(clusters, most)
    content = [remark for remark in remarks if remark.stance == "for"]
    return [Cluster(None, "", not content, tuple(content or remarks))] if remarks else []


def _praise(
    remarks: Sequence[Remark], vocabulary: Vocabulary, background: Background, least: int, most: int
) -> list[Cluster]:
    clusters, rest = _gather([remark for remark in remarks if remark.stance == "for"], vocabulary, least)
    return clusters + _themes(rest, remarks, vocabulary, background, most)


def _complaints(remarks: Sequence[Remark], vocabulary: Vocabulary, least: int) -> list[Cluster]:
    """Around motives; if there are none, all who gave up to three stars and complain together."""
    against = [remark for remark in remarks if remark.stance == "against"]
    unhappy = tuple(remark for remark in against if remark.review.rating <= 3)
    clusters, _ = _gather(against, vocabulary, least)
    clusters = [c for c in clusters if c.support > 2 or min(r.review.rating for r in c.remarks) <= 3]
    return clusters or ([Cluster(None, "", True, unhappy)] if unhappy and reviewers(unhappy) >= least else [])


def _gather(remarks: Sequence[Remark], vocabulary: Vocabulary, least: int) -> tuple[list[Cluster], list[Remark]]:
    """Clusters around motives of the remarks' own stance, and the remarks that are in none."""
    weights = np.array([motive.weight for motive in vocabulary.motives])
    groups: dict[int, list[Remark]] = defaultdict(list)
    rest = []
    for remark in remarks:
        fits = remark.fits * weights * (vocabulary.critical == (remark.stance == "against"))
        if fits.any():
            groups[int(fits.argmax())].append(remark)
        else:
            rest.append(remark)
    # Small groups join their parents, children before parents: twice, as no chain is longer.
    for _ in range(2):
        for j in sorted(groups):
            parent = vocabulary.motives[j].parent
            if parent and reviewers(groups[j]) < least:
                groups[vocabulary.by_key[parent].index] += groups.pop(j)
    clusters = []
    for j, members in sorted(groups.items()):
        if reviewers(members) >= least and max(remark.fits.max() for remark in members) >= CLEAR:
            clusters.append(Cluster(vocabulary.motives[j], "", vocabulary.motives[j].critical, tuple(members)))
        else:
            rest += members
    return clusters, rest


def _themes(
    rest: Sequence[Remark], everything: Sequence[Remark], vocabulary: Vocabulary, background: Background, most: int
) -> list[Cluster]:
    """Praise outside all motives: k-means groups whose reviewers share a thing, each widened to all who mention it."""
    users = _mentions(everything, background)
    everyone = reviewers(everything)

    def is_news(thing: str) -> bool:
        """Not what the item is, unless people have their own (a pedalboard), and not what tells who they are (a guitar)."""
        common = max(users[word] for word in [thing, *thing.split()]) > EVERYWHERE * everyone
        return (not common or background.is_owned(thing)) and not any(cue.search(thing) for _, cue in vocabulary.people)

    clusters: list[Cluster] = []
    for group in _split(rest, most):
        taken = {word for cluster in clusters for word in cluster.thing.split()}
        shared = {
            thing: count * sum(background.rarity(word) for word in thing.split())
            for thing, count in _mentions(group, background).items()
            if count > 1 and is_news(thing) and not taken & set(thing.split())
        }
        if shared:
            thing = min(shared, key=lambda t: (-shared[t], t))
            praised = [
                r for r in rest if thing in background.things(r.words) and (r.tone > 0 or background.is_owned(thing))
            ]
            if reviewers(praised) >= MIN_THEME:
                clusters.append(Cluster(None, thing, False, tuple(praised)))
    return clusters


def _mentions(remarks: Sequence[Remark], background: Background) -> Counter[str]:
    """How many reviewers mention each thing."""
    return Counter(thing for _, thing in {(r.review.user_id, t) for r in remarks for t in background.things(r.words)})


def _split(remarks: Sequence[Remark], most: int) -> list[list[Remark]]:
    """K-means groups of similar remarks, largest first; the silhouette chooses their number, one if it favours none."""
    distinct = len({remark.quote for remark in remarks})
    if distinct < 6:
        return [list(remarks)] if remarks else []
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]

    vectors = np.stack([remark.vector for remark in remarks])
    best, labels = MIN_SILHOUETTE, np.zeros(len(remarks), dtype=int)
    for k in range(2, min(most, distinct // 3) + 1):
        found = KMeans(n_clusters=k, n_init=1, random_state=0).fit_predict(vectors)
        score = float(silhouette_score(vectors, found)) if len(set(found)) > 1 else -1.0
        if score > best:
            best, labels = score, found
    groups = [[r for r, own in zip(remarks, labels, strict=True) if own == label] for label in sorted(set(labels))]
    return sorted(groups, key=lambda group: (-reviewers(group), group[0].quote))


def _choose(clusters: Sequence[Cluster], most: int) -> list[Cluster]:
    """The strongest clusters without near-duplicates, most supported first; the strongest complaint keeps a place."""
    chosen: list[Cluster] = []
    for cluster in sorted(clusters, key=_order):
        twins = [c for c in chosen if c.critical == cluster.critical and c.centroid @ cluster.centroid > DUPLICATE]
        if twins:
            at = chosen.index(twins[0])
            chosen[at] = Cluster(twins[0].motive, twins[0].thing, cluster.critical, twins[0].remarks + cluster.remarks)
        else:
            chosen.append(cluster)
    kept = chosen[:most]
    complaints = [cluster for cluster in chosen if cluster.critical]
    if complaints and complaints[0] not in kept and most > 1:
        kept[-1] = complaints[0]
    return sorted(kept, key=lambda c: (-c.support, *_order(c)))


def _order(cluster: Cluster) -> tuple[float, str, str]:
    """Strongest first, ties by text."""
    return -cluster.strength, cluster.motive.key if cluster.motive else cluster.thing, cluster.remarks[0].quote
