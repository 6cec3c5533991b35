"""Manage `encoders`: which encoder a run serves, overrides by people (`encoder_overrides`), and the training of the next one."""
