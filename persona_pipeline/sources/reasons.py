"""Tell reasons that are faults of the input from those that are not."""

NOT_FAULTS = ("copy", "edited", "repeated", "unrated")
"""Records that say again or earlier what another says, or that have no rating: whatever their share, nothing is wrong."""

UNREADABLE = ("not_json", "not_csv", "not_python_literal")
"""Records of which no field is known."""
