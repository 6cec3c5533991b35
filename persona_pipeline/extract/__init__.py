"""Reviews to aspects, items to summaries, both to personas with evidence, by an extractor behind one protocol."""
