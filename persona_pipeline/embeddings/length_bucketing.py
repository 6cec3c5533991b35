"""Texts of like length in one forward pass: padding is work for nothing, and memory goes with the padded size."""

from collections.abc import Sequence


def within_budget(lengths: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """Consecutive ranges whose padded size, widest text times count, stays within the budget; at least one text each."""
    ranges, start, widest = [], 0, 0
    for i, length in enumerate(lengths):
        widest = max(widest, length)
        if i > start and widest * (i - start + 1) > budget:
            ranges.append((start, i))
            start, widest = i, length
    if lengths:
        ranges.append((start, len(lengths)))
    return ranges
