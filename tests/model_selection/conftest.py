"""The drifting shop, for the tests of this folder."""

from drifting_nights import _after_first, shop, warehouse

__all__ = ["_after_first", "shop", "warehouse"]
