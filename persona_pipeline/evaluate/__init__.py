"""Evaluate ranked lists: splits, metrics, slices, confidence intervals, baselines, leakage checks, human judgement."""
