"""Personas and explanations judged by people: a sample to read, verdicts taken back, truth with its interval."""
