"""Fine-tune the whole base model, with the head's loss and batches and gradients through every text.

`prepared` writes a folder of texts and pairs from the tables, `python -m persona_pipeline.encoder.finetune` trains on
it, alone or under torchrun, and leaves a sentence-transformers folder. `run` does both for a night.
"""
