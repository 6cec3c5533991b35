"""From a candidate to a release: audit, publication, and how readers find what is published."""
