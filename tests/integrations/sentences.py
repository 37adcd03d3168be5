"""A tiny text classification of made sentences, four of them labelled wrongly, and a BERT small enough to train in seconds."""

import random

import torch

CLASSES = ["praise", "complaint"]
GOOD = ["lovely", "bright", "gentle", "clever", "warm", "honest", "splendid"]
BAD = ["dull", "broken", "noisy", "bitter", "clumsy", "rotten", "careless"]
THINGS = ["film", "book", "lamp", "chair", "soup", "garden", "song", "engine"]


def sentences(count: int = 96) -> tuple[list[str], list[int]]:
    """(texts, labels): the first four have the other class's label."""
    rng = random.Random(0)
    texts, labels = [], []
    for i in range(count):
        label = i % 2
        one, two = rng.sample(BAD if label else GOOD, 2)
        texts.append(f"a {one} {rng.choice(THINGS)} and a {two} {rng.choice(THINGS)} {i}")
        labels.append(1 - label if i < 4 else label)
    return texts, labels


def vocabulary() -> dict[str, int]:
    words = ["[PAD]", "[CLS]", "[UNK]", "a", "and", *GOOD, *BAD, *THINGS]
    return {word: i for i, word in enumerate(words)}


def encoded(text: str, length: int = 12) -> list[int]:
    """Word by word: a tokenizer made by hand."""
    known = vocabulary()
    ids = [known["[CLS]"], *(known.get(word, known["[UNK]"]) for word in text.split())]
    return (ids + [known["[PAD]"]] * length)[:length]


class Sentences(torch.utils.data.Dataset):
    def __init__(self, texts: list[str], labels: list[int]):
        self.texts, self.labels = texts, labels

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> dict:
        ids = encoded(self.texts[i])
        return {"input_ids": ids, "attention_mask": [int(one > 0) for one in ids], "labels": self.labels[i]}


def tiny_bert():
    """Two layers of 32, about 30,000 weights, from its config alone."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary()), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=16, num_labels=len(CLASSES), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return BertForSequenceClassification(config)
