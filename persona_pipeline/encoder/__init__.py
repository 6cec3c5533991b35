"""The light encoder: personas and interactions as text, a contrastive head over their embeddings, and its artefact."""
