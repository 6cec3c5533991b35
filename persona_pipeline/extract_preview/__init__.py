"""Preview extraction under a configuration before a run adopts it: estimates, trials, replays, comparisons."""
