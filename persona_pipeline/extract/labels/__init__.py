"""Label training pairs by an LLM: which persona of a liked item its user was."""
