"""Tell reasons that are faults of the input from those that are not."""

NOT_FAULTS = ("copy", "edited", "repeated")
"""Lines that say again or earlier what another says: whatever their share, nothing is wrong with the input."""
