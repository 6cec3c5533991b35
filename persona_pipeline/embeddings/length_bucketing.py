"""Split texts sorted by length into batches within a token budget, so that little of a forward pass is padding."""

from collections.abc import Sequence


def within_budget(lengths: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """Split into consecutive ranges whose padded size, longest text times count, is within the budget; at least one text each."""
    ranges, start, widest = [], 0, 0
    for i, length in enumerate(lengths):
        widest = max(widest, length)
        if i > start and widest * (i - start + 1) > budget:
            ranges.append((start, i))
            start, widest = i, length
    if lengths:
        ranges.append((start, len(lengths)))
    return ranges
