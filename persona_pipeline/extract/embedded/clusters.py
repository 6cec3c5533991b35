"""An item's remarks become clusters, each one reason of one kind of people.

Remarks that fit a motive gather around it; what fits none goes to `themes`. Groups with too few reviewers join the
parent of their motive or are given up. Complaints stay apart from praise, and the strongest complaint keeps a place
even where praise would fill all of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from persona_pipeline.extract.embedded.reading import Reading, reviewers
from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.themes import find_themes
from persona_pipeline.extract.embedded.vocabulary import Motive, Vocabulary

CLEAR = 0.7  # fit that at least one remark of a motive's cluster must have
STILL_CRITICAL = 4.0  # mean stars from which a cluster of complaints is only quibbling
DUPLICATE = 0.9  # cosine of two clusters' centroids from which they say the same
MANY_REVIEWERS = 8  # from here on one reviewer alone is no persona


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Remarks with one message: a motive's, or about one `thing` (base form), or, with neither, mere (dis)content."""

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
        """(d,), normalised."""
        mean: np.ndarray = np.mean([remark.vector for remark in self.remarks], axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)

    @property
    def strength(self) -> float:
        """What decides who gets a place: reviewers, with diminishing returns so that telling motives beat mass."""
        return (self.motive.weight if self.motive else 0.7) * float(np.sqrt(self.support))


def cluster_remarks(item: Reading, most: int) -> list[Cluster]:
    """At most `most` clusters, most supported first; none only if there are no remarks."""
    # Where no two reviewers agree on anything, single voices are heard after all.
    for least in (2, 1) if item.reviewers >= MANY_REVIEWERS else (1,):
        clusters = _praise(item, least, most) + _complaints(item, least)
        if clusters:
            return _choose(clusters, most)
    content = tuple(remark for remark in item.remarks if remark.stance == "for")
    return [Cluster(None, "", not content, content or tuple(item.remarks))] if item.remarks else []


def _praise(item: Reading, least: int, most: int) -> list[Cluster]:
    praise = [remark for remark in item.remarks if remark.stance == "for"]
    clusters, rest = _gather(praise, item.vocabulary, least)
    return clusters + [Cluster(None, thing, False, tuple(own)) for thing, own in find_themes(item, rest, most)]


def _complaints(item: Reading, least: int) -> list[Cluster]:
    """Around motives; if there are none, all who gave up to three stars and complain together."""
    against = [remark for remark in item.remarks if remark.stance == "against"]
    unhappy = tuple(remark for remark in against if remark.review.rating <= 3)
    clusters, _ = _gather(against, item.vocabulary, least)
    clusters = [c for c in clusters if np.mean([r.review.rating for r in c.remarks]) <= STILL_CRITICAL]
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
