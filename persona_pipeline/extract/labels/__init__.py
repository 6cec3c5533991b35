"""Label training pairs by an LLM judge: the persona of a liked item that fits its user."""
