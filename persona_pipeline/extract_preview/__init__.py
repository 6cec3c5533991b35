"""What a configuration would ask and make, before a run adopts it: estimates, trials, replays, comparisons."""
