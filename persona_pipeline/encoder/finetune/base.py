"""Wrap a sentence-transformers model as a differentiable function from texts to unit vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

Features = dict[str, Tensor]


class Base(nn.Module):
    """The base model on a device, in float32; on CUDA it computes in bfloat16 where the GPU has it.

    Args:
        folder: sentence-transformers folder; nothing is downloaded.
        max_tokens: truncation length, if the model can read as many.
        device: where it is trained.
        dropout: whether its dropout is on.
    """

    def __init__(self, folder: Path, max_tokens: int, device: torch.device, dropout: bool = False) -> None:
        super().__init__()
        self.model = SentenceTransformer(
            str(folder), device=str(device), local_files_only=True, model_kwargs={"dtype": torch.float32}
        )
        self.model.max_seq_length = min(max_tokens, self.model.max_seq_length or max_tokens)
        self.model.train(dropout)
        self.device = device
        self._bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count the tokens of each text after truncation, (n,)."""
        longest = self.model.max_seq_length or 0
        return np.array(
            [min(len(ids), longest) for ids in self.model.tokenizer(list(texts), verbose=False)["input_ids"]]
        )

    def features(self, texts: Sequence[str]) -> Features:
        """Tokenise texts into padded tensors, still on the CPU."""
        found = self.model.preprocess(list(texts))
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def forward(self, features: Features) -> Tensor:
        """Unit vectors, (n, d)."""
        there = {name: value.to(self.device, non_blocking=True) for name, value in features.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            embeddings = self.model(there)["sentence_embedding"]
        wide = torch.promote_types(embeddings.dtype, torch.float32)
        return nn.functional.normalize(embeddings.to(wide), dim=-1)
