"""A sentence-transformers model of a few thousand random weights, and a task it must learn from nothing."""

from pathlib import Path

import numpy as np
from embedded import embed
from helpers import put_all, shop

from persona_pipeline.encoder.finetune.examples import Examples, Ragged, item_slots
from persona_pipeline.warehouse import Warehouse

TOPICS = ("travel", "stage", "studio", "lesson")
WANTS = ("light", "loud", "clean", "simple")  # what the users of each topic say; no word in common with its personas
FILLERS = ("the", "a", "guitar", "strap", "very", "good")
ITEMS, USERS, HISTORY = 16, 60, 3


def write_tiny_base(folder: Path, dropout: float = 0.1) -> Path:
    """BERT of two layers, 32 wide, random weights, mean pooling, one token per word."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    bert = folder.with_name(f"{folder.name}-bert")
    bert.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *TOPICS, *WANTS, *FILLERS]
    (bert / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(vocab=str(bert / "vocab.txt")).save_pretrained(bert)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(bert)  # type: ignore[no-untyped-call]
    model = SentenceTransformer(modules=[Transformer(str(bert)), Pooling(32)], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def topical_examples() -> Examples:
    """Item n is of topic n % 4; a user of a topic likes its items. Two personas an item, some with one.

    Item ITEMS + n has no persona; it is met by those who want what topic n % 4 has, and they say so of it. Every item has
    one to four texts of evidence, some written by a pair's own user.
    """
    rng = np.random.default_rng(3)
    texts: list[str] = []

    def text(word: str) -> int:
        texts.append(" ".join(rng.permutation([word, *rng.choice(FILLERS, rng.integers(2, 7))])))
        return len(texts) - 1

    persona_items = np.array([item for item in range(ITEMS) for _ in range(1 + item % 3 % 2)])
    persona_texts = np.array([text(TOPICS[item % 4]) for item in persona_items])
    slots, filled = item_slots(persona_items, 2 * ITEMS)
    said = [
        [text((TOPICS if item < ITEMS else WANTS)[item % 4]) for _ in range(1 + item // 4 % 4)]
        for item in range(2 * ITEMS)
    ]
    liked = np.array([rng.permutation(ITEMS // 4)[: 1 + n % 2] * 4 + n % 4 for n in range(USERS)], dtype=object)
    pairs = [(user, item) for user, items in enumerate(liked) for item in sorted(items)]
    users, targets = np.array(pairs).T
    lengths = rng.integers(1, HISTORY + 1, len(pairs))
    history = [ITEMS + rng.permutation(ITEMS // 4)[:n] * 4 + user % 4 for user, n in zip(users, lengths, strict=True)]
    vectors = rng.standard_normal((len(persona_items), 8)).astype(np.float32)
    return Examples(
        texts=texts,
        evidence=Ragged.of_lengths(np.concatenate(said), np.array([len(of_item) for of_item in said])),
        histories=Ragged.of_lengths(np.concatenate(history), lengths),
        weights=np.concatenate([np.full(n, 1 / n, np.float32) for n in lengths]),
        users=users,
        places=np.arange(USERS) * 7 % USERS / USERS,
        targets=targets,
        labels=slots[targets, 0],
        visible=filled[targets],
        own=np.array([said[item][0] if user % 3 == 0 else -1 for user, item in pairs]),
        persona_texts=persona_texts,
        persona_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        slots=slots,
        filled=filled,
        known=Ragged.of_lengths(
            np.concatenate([np.sort(items) for items in liked]).astype(np.int64),
            np.array([len(items) for items in liked]),
        ),
        persona_weight=0.5,
        aggregation="softmax",
    )


def small_warehouse(folder: Path) -> Warehouse:
    """The shop, with a third pair: dan's strap after two others, hidden from him the one persona that is his alone."""
    found, tables = Warehouse(folder / "warehouse"), shop()
    dan = {
        **tables["training_pairs"][0],
        "user_id": "dan",
        "item_id": "strap",
        "persona_id": "strap-1",
        "masked_persona_ids": ["strap-2"],
        "history_interaction_ids": ["dan-strings", "dan-picks"],
        "history_place": 0,
    }
    tables["training_pairs"].append(dan)
    del tables["text_embeddings"]
    put_all(found, tables)
    embed(found)
    return found
