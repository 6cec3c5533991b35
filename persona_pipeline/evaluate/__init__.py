"""How good ranked lists are: metrics, slices, intervals, and whether a new encoder may replace the served one."""
