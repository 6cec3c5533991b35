"""A shop staged and served, and one whose taste drifts, for the tests of this folder."""

from drifting_nights import _after_first, shop
from drifting_nights import warehouse as drifting_warehouse
from published_shop import built, shop_served, warehouse

__all__ = ["_after_first", "built", "drifting_warehouse", "shop", "shop_served", "warehouse"]
