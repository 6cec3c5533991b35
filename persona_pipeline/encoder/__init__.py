"""Train and apply the encoder: a contrastive head over text embeddings of personas and interactions, stored as an artefact."""
