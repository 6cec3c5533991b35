"""An item's remarks become clusters, each one reason of one kind of people.

Remarks that fit a motive gather around it. The rest is clustered by k-means, with as many clusters as the silhouette
favours. Clusters with too few reviewers join the parent of their motive or are dissolved; complaints are kept apart from
praise, and one cluster of complaints keeps its place even where praise would fill all of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Motive, Vocabulary

MIN_SILHOUETTE = 0.05
DUPLICATE = 0.85  # cosine of two clusters' centroids from which they say the same
MANY_REVIEWS = 8  # from here on one reviewer alone is no persona


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Remarks with one message; `motive` is None where they only share their words."""

    motive: Motive | None
    critical: bool
    remarks: tuple[Remark, ...]

    @property
    def support(self) -> int:
        """Distinct reviewers."""
        return len({remark.review.user_id for remark in self.remarks})

    @property
    def centroid(self) -> np.ndarray:
        mean: np.ndarray = np.mean([remark.vector for remark in self.remarks], axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)

    @property
    def strength(self) -> float:
        """What decides who gets a place: reviewers, with diminishing returns so that telling motives beat mass."""
        return (self.motive.weight if self.motive else 0.8) * self.support**0.5


def cluster_remarks(remarks: Sequence[Remark], vocabulary: Vocabulary, most: int) -> list[Cluster]:
    """At most `most` clusters, most supported first; none only if there are no remarks."""
    remarks = sorted(remarks, key=lambda r: (r.quote, r.review.review_id, r.sentence.start))
    reviewers = len({remark.review.user_id for remark in remarks})
    least = 2 if reviewers >= MANY_REVIEWS else 1
    gathered, rest = _gather(remarks, vocabulary, least)
    pleased = [remark for remark in rest if remark.review.rating >= 3]
    displeased = [remark for remark in rest if remark.review.rating <= 2]
    clusters = gathered + [c for c in _split(pleased, most) if c.support >= max(2, least)]
    if not any(cluster.critical for cluster in clusters) and len({r.review.user_id for r in displeased}) >= least:
        clusters.append(Cluster(None, True, tuple(displeased)))
    if not clusters and remarks:
        critical = np.mean([remark.review.rating for remark in remarks]) < 3
        clusters = [Cluster(None, bool(critical), tuple(remarks))]
    return _choose(clusters, most)


def _gather(remarks: Sequence[Remark], vocabulary: Vocabulary, least: int) -> tuple[list[Cluster], list[Remark]]:
    """Clusters around motives, and the remarks that are in none."""
    keys = [motive.key for motive in vocabulary.motives]
    weights = np.array([motive.weight for motive in vocabulary.motives])
    groups: dict[int, list[Remark]] = defaultdict(list)
    rest = []
    for remark in remarks:
        if remark.fits.any():
            groups[int(np.argmax(remark.fits * weights))].append(remark)
        else:
            rest.append(remark)
    # Small groups join their parents, children before parents: twice, as no chain is longer.
    for _ in range(2):
        for j in sorted(groups):
            parent = vocabulary.motives[j].parent
            if parent and 0 < len({r.review.user_id for r in groups[j]}) < least:
                groups[keys.index(parent)] += groups.pop(j)
    clusters = []
    for j, members in sorted(groups.items()):
        motive = vocabulary.motives[j]
        cluster = Cluster(motive, motive.critical, tuple(members))
        if cluster.support >= least:
            clusters.append(cluster)
        else:
            rest += members
    return clusters, rest


def _split(remarks: Sequence[Remark], most: int) -> list[Cluster]:
    """K-means over 2..most clusters, the silhouette choosing; one cluster never passes for a message, so none then."""
    distinct = len({remark.quote for remark in remarks})
    if distinct < 6:
        return []
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    vectors = np.stack([remark.vector for remark in remarks]).astype(np.float64)
    best, labels = MIN_SILHOUETTE, None
    for k in range(2, min(most, distinct // 3) + 1):
        found = KMeans(n_clusters=k, n_init=2, random_state=0).fit_predict(vectors)
        score = silhouette_score(vectors, found) if len(set(found)) > 1 else -1.0
        if score > best:
            best, labels = score, found
    if labels is None:
        return []
    return [Cluster(None, False, tuple(r for r, own in zip(remarks, labels, strict=True) if own == k)) for k in set(labels)]


def _choose(clusters: list[Cluster], most: int) -> list[Cluster]:
    """The strongest clusters without near-duplicates, most supported first; the strongest complaint keeps a place."""
    ranked = sorted(clusters, key=lambda c: (-c.strength, c.remarks[0].quote, c.motive.key if c.motive else ""))
    chosen: list[Cluster] = []
    for cluster in ranked:
        twin = next((c for c in chosen if c.critical == cluster.critical and c.centroid @ cluster.centroid > DUPLICATE), None)
        if twin is None:
            chosen.append(cluster)
        else:
            chosen[chosen.index(twin)] = Cluster(twin.motive, twin.critical, twin.remarks + cluster.remarks)
    kept = chosen[:most]
    complaint = next((c for c in chosen if c.critical), None)
    if complaint and complaint not in kept and most > 1:
        kept[-1] = complaint
    return sorted(kept, key=lambda c: (-c.support, ranked.index(c) if c in ranked else 0, c.remarks[0].quote))
