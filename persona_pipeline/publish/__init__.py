"""Write, audit, publish: staged tables to a release, or to a refusal on record; rollback and retention."""
