"""Extract aspects, summaries and personas with evidence from reviews and metadata, by an extractor behind one protocol."""
