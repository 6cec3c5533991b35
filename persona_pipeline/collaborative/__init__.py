"""Fit collaborative-filtering models on interactions alone: the encoder's prior, and baselines of the evaluation."""
