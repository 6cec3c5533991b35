"""Exact top-k items for users over personas of unequal number per item: `kernel.top_items` is the door."""
