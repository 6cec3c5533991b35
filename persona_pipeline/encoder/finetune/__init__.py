"""The whole base model trained, not a head over it: the head's loss and batches, with gradients through every text.

`prepared` writes a folder of texts and pairs from the tables, `python -m persona_pipeline.encoder.finetune` trains on it,
alone or under torchrun, and leaves a sentence-transformers folder. `tuned` does both for a night.
"""
