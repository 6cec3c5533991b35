"""Summarise `user_item_topk.contributions` as the segments of a bar chart that add up to the score.

Shares are in thousandths, rounded so that the printed numbers add up to the printed score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from persona_pipeline.core.contribution_kinds import ContributionKind

NAMED = 3
"""Interactions told one by one; the rest of them are one segment."""

_TOLERANCE = 1e-6  # shares are stored with nine digits


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a score. `kind` decides its colour; `title` is set for a past interaction shown by name."""

    kind: str
    label: str
    share: float
    thousandths: int
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment's place in the bar, in hundredths of its width."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Segments as pieces around a zero line; negative shares lie left of it."""

    pieces: list[Piece]
    zero: float


def segments(contributions: Sequence[Mapping[str, Any]], score: float, titles: Mapping[str, str]) -> list[Segment]:
    """Split a score into segments: the interactions with the largest shares, the other interactions together, then all else.

    Where the shares do not add up to the score, the difference is a segment of its own: a fault should be seen.
    """
    ordered = sorted(contributions, key=lambda c: (-c["share"], c["kind"], c["review_id"] or c["item_id"] or ""))
    interactions = [c for c in ordered if c["kind"] == ContributionKind.INTERACTION]
    parts: list[tuple[str, str, float, str | None]] = [
        (f"interaction{place}", "You reviewed", c["share"], titles.get(c["item_id"], c["item_id"]))
        for place, c in enumerate(interactions[:NAMED], start=1)
    ]
    rest = interactions[NAMED:]
    if rest:
        label = f"{len(rest)} more you reviewed" if len(rest) > 1 else "One more you reviewed"
        parts.append(("interactions", label, sum(c["share"] for c in rest), None))
    for c in ordered:
        if c["kind"] != ContributionKind.INTERACTION:
            kind = ContributionKind.of(c["kind"]) or "other"
            parts.append((kind, ContributionKind.label_of(c["kind"]).capitalize(), c["share"], None))
    missing = score - sum(share for _, _, share, _ in parts)
    if abs(missing) > _TOLERANCE:
        parts.append(("unexplained", "Not accounted for", missing, None))
    rounded = _thousandths([share for _, _, share, _ in parts], round(1000 * score))
    return [Segment(k, label, share, n, title) for (k, label, share, title), n in zip(parts, rounded, strict=True)]


def bars(told: Sequence[Sequence[Segment]]) -> list[Bar]:
    """Draw bars of several scores on one scale, so that they compare by eye."""
    left = max((_total(parts, -1) for parts in told), default=0.0)
    right = max((_total(parts, 1) for parts in told), default=0.0)
    unit = 100 / (left + right) if left + right else 0.0
    return [_bar(parts, left * unit, unit) for parts in told]


def _bar(parts: Sequence[Segment], zero: float, unit: float) -> Bar:
    pieces, low, high = [], zero, zero
    for part in parts:
        width = abs(part.share) * unit
        if part.share < 0:
            low -= width
        pieces.append(Piece(part.kind, low if part.share < 0 else high, width))
        if part.share >= 0:
            high += width
    return Bar(pieces, zero)


def _total(parts: Sequence[Segment], sign: int) -> float:
    return sum(max(sign * part.share, 0.0) for part in parts)


def _thousandths(shares: Sequence[float], total: int) -> list[int]:
    """Round shares to whole thousandths that add up to `total`, by largest remainder."""
    scaled = [1000 * share for share in shares]
    floors = [int(value // 1) for value in scaled]
    by_remainder = sorted(range(len(shares)), key=lambda i: (floors[i] - scaled[i], i))
    for place in range(total - sum(floors)):
        floors[by_remainder[place % len(shares)]] += 1
    return floors
