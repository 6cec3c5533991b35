"""Praise that fits no motive becomes themes: things that several reviewers of one item single out in their own words.

Remarks are clustered by k-means, with as many clusters as the silhouette favours. A cluster counts only if its
reviewers share a noun, and then stands for every remark that mentions it.
"""

from collections.abc import Sequence

import numpy as np

from persona_pipeline.extract.embedded.reading import Reading, reviewers
from persona_pipeline.extract.embedded.remarks import Remark

MIN_SILHOUETTE = 0.03
MOST_GROUPS = 4
MIN_REVIEWERS = 3  # who must share a word to be a persona of their own
EVERYWHERE = 0.3  # a word this share of an item's reviewers use is what the item is, not what sets anyone apart


def find_themes(item: Reading, rest: Sequence[Remark], most: int) -> list[tuple[str, list[Remark]]]:
    """Things (base forms) and the remarks about them, from remarks outside all motives; at most `most`."""
    worth = {
        thing: sum(item.background.rarity(word) for word in thing.split())
        for thing, count in item.mentions(rest).items()
        if count >= MIN_REVIEWERS and _sets_apart(thing, item)
    }
    about = [remark for remark in rest if any(item.mentioning(thing, [remark]) for thing in worth)]
    themes: list[tuple[str, list[Remark]]] = []
    for group in _split(about, min(most, len(worth))):
        taken = {word for thing, _ in themes for word in thing.split()}
        shared = {
            thing: count * worth[thing]
            for thing, count in item.mentions(group).items()
            if count > 1 and thing in worth and not taken & set(thing.split())
        }
        if shared:
            thing = min(shared, key=lambda t: (-shared[t], t))
            owned = item.background.is_owned(thing)
            praised = [remark for remark in item.mentioning(thing, about) if remark.tone > 0 or owned]
            if reviewers(praised) >= MIN_REVIEWERS:
                themes.append((thing, praised))
    return themes


def _sets_apart(thing: str, item: Reading) -> bool:
    """Not what the item is called or is, unless people have their own (a pedalboard), nor what they are (a guitar)."""
    if item.title_words & set(thing.split()) or any(cue.search(thing) for _, cue in item.vocabulary.people):
        return False
    if any(item.pointed_at[word] > 1 for word in thing.split()):
        return False
    users = max(item.mentioned[word] for word in [thing, *thing.split()])
    return users <= EVERYWHERE * item.reviewers or item.background.is_owned(thing)


def _split(remarks: Sequence[Remark], most: int) -> list[list[Remark]]:
    """K-means groups, most reviewers first; the silhouette chooses their number up to `most`, one if it favours none."""
    distinct = len({remark.quote for remark in remarks})
    if distinct < 6 or most < 2:
        return [list(remarks)] if remarks else []
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    vectors = np.stack([remark.vector for remark in remarks])  # (remarks, d)
    best, labels = MIN_SILHOUETTE, np.zeros(len(remarks), dtype=int)
    # Squared euclidean distance of unit vectors; measured once, for every k.
    distances = np.maximum(2.0 - 2.0 * (vectors @ vectors.T), 0.0)  # (remarks, remarks)
    np.fill_diagonal(distances, 0.0)
    for k in range(2, min(most, MOST_GROUPS, distinct // 3) + 1):
        found = KMeans(n_clusters=k, n_init=1, random_state=0).fit_predict(vectors)
        score = (
            round(float(silhouette_score(distances, found, metric="precomputed")), 4) if len(set(found)) > 1 else -1.0
        )
        if score > best:
            best, labels = score, found
    groups = [[r for r, own in zip(remarks, labels, strict=True) if own == label] for label in sorted(set(labels))]
    return sorted(groups, key=lambda group: (-reviewers(group), group[0].quote))
