"""Tell reasons that are faults of the input from those that are not."""

NOT_FAULTS = ("copy", "edited", "empty", "repeated", "unrated")
"""Records that say what another says or an earlier state of it, have no rating, or hold nothing: no share of them is a fault."""
