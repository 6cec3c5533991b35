"""Settings of the encoder that foretell best what each user liked last: what a night chooses itself before it trains."""
