"""Users against personas: exact top-k, what each score is made of, and why, in words."""
