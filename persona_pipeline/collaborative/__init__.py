"""Collaborative filtering: who met what, without a word of text. Prior of the encoder, baselines of the evaluation."""
