"""Encoders on record: which one a run serves, overrides by people, and the run that trains the next."""
