"""The shop's run, staged and served, for the tests of this folder."""

from published_shop import built, shop_served, warehouse

__all__ = ["built", "shop_served", "warehouse"]
