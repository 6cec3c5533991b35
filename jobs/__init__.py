"""One entry point per stage: `python -m jobs.<table>`."""
