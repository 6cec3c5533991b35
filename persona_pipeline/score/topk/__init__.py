"""Compute exact top-k items for users over a varying number of personas per item; `kernel.top_items` is the entry point."""
