"""Have people judge personas and explanations: draw a sample, read verdicts back, report shares with confidence intervals."""
