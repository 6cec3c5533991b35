"""A cluster's remarks become its quotes: the few that speak best for it, the representative first."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from persona_pipeline.extract.embedded.clusters import Cluster, reviewers
from persona_pipeline.extract.embedded.remarks import Remark
from persona_pipeline.extract.embedded.vocabulary import Motive, Vocabulary
from persona_pipeline.extract.embedded.words import Background, is_content

ALL = 5  # quotes of a persona at most
_OTHERS = frozenset("other others another previous".split())
# "It also..." and "However, ..." lean on a sentence that is not quoted.
_LEANING = frozenset(
    "and but so however also it they this that these those he she which because or then plus though".split()
)


def own_quotes(cluster: Cluster, background: Background) -> list[Remark]:
    """Up to ALL remarks, the most telling first: one per reviewer, no wording twice."""
    centroid = cluster.centroid
    ranked = sorted(
        cluster.remarks, key=lambda r: (-_telling(r, centroid, cluster, background), r.quote, r.review.review_id)
    )
    picked: list[Remark] = []
    heard: set[object] = set()
    for remark in ranked:
        if remark.review.user_id not in heard and remark.words not in heard:
            picked.append(remark)
            heard |= {remark.review.user_id, remark.words}
    return picked[:ALL]


def further_quotes(
    cluster: Cluster, own: list[Remark], remarks: Sequence[Remark], vocabulary: Vocabulary
) -> list[tuple[Remark, Motive]]:
    """What the same reviewers also say: up to two things they value, or one sort of people who are among them.

    Shortens `own` so that there are at most ALL quotes.
    """
    if cluster.motive is None or cluster.critical:
        return []
    reviews = {remark.review.review_id for remark in cluster.remarks}
    inside = {id(remark) for remark in cluster.remarks}
    said: dict[int, list[Remark]] = defaultdict(list)
    for remark in remarks:
        if (
            remark.review.review_id in reviews
            and id(remark) not in inside
            and remark.stance == "for"
            and remark.fits.any()
        ):
            said[int((remark.fits * ~vocabulary.critical).argmax())].append(remark)
    said.pop(cluster.motive.index, None)
    ranked = sorted(said, key=lambda j: (-reviewers(said[j]), j))
    who = [j for j in ranked if vocabulary.motives[j].tells_who and reviewers(said[j]) > 1]
    what = [j for j in ranked if not vocabulary.motives[j].tells_who]
    found = []
    for j in who[:1] if who and not cluster.motive.tells_who else what[:2]:
        best = max(said[j], key=lambda r: (float(r.fits[j]) + 0.05 * (r.tone > 0) - _length(r), r.quote))
        found.append((best, vocabulary.motives[j]))
    del own[ALL - len(found) :]
    return found


def _telling(remark: Remark, centroid: np.ndarray, cluster: Cluster, background: Background) -> float:
    """How well a remark speaks for its cluster, and how well it reads on its own."""
    content = [word for word in remark.words if is_content(word)]
    known = [word for word in content if background.is_known(word)]
    density = sum(min(background.rarity(word), 3.0) for word in known) / (3.0 * max(len(remark.words), 1))
    fit = float(remark.fits[cluster.motive.index] or 0.9 * remark.fits.max()) if cluster.motive else 0.0
    score = 0.7 * float(remark.vector @ centroid) + 0.8 * fit + 0.3 * density - 0.3 * max(0.0, remark.emptiness - 0.4)
    score += 0.06 * min(max(remark.tone * (-1 if cluster.critical else 1), -2), 2)
    score -= 0.1 * bool(_OTHERS & set(remark.words)) + 0.15 * (remark.words[0] in _LEANING) + _length(remark)
    score -= (
        0.3 * remark.quote.isupper()
        + 0.05 * remark.quote[0].islower()
        + 0.3 * remark.quote.endswith(("?", ":", "..", "…", ","))
    )
    return score - 0.1 * (len(content) - len(known))


def _length(remark: Remark) -> float:
    """What a quote loses for being longer or shorter than is good to read."""
    count = len(remark.quote.split())
    return 0.02 * max(0, count - 22) + 0.05 * max(0, 8 - count)
