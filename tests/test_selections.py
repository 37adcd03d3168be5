"""A saved selection is the same samples whatever becomes of rows, scores and versions."""

import json

import numpy as np
import pyarrow as pa
import pytest

from learnability import selections
from learnability.errors import DamagedFile, InputError, NewerFormat, NotFound
from learnability.store.datasets import open_dataset
from learnability.store.identity import Identities, identities


def test_a_selection_keeps_its_samples(digits):
    dataset = open_dataset(digits, "digits")
    own = identities(dataset)
    selections.save(digits, dataset, "odd-ones", np.array([30, 4, 7, 4]), "lasso on resnet20 and vgg16", "look again", version=own)
    found = selections.load(digits, "digits", "odd-ones")
    assert found.samples == tuple(own.samples([4, 7, 30])) and digits.selection_names("digits") == ["odd-ones"]
    assert (found.said, found.note, found.fingerprint) == ("lasso on resnet20 and vgg16", "look again", dataset.fingerprint)
    assert selections.place(found, own).sample_ids.tolist() == [4, 7, 30]
    order = np.random.default_rng(0).permutation(len(own))
    order = order[order != 30]  # another version: rows moved, 30 gone, 7 with another picture
    hashes = ["another picture" if i == 7 else own.hashes[i].as_py() for i in order]
    there = selections.place(found, Identities(own.keys.take(pa.array(order)), pa.array(hashes)))
    assert order[there.sample_ids].tolist() == [4]
    assert there.changed == (found.samples[1],) and there.gone == (found.samples[2],)


def test_names_are_taken_once_and_checked(digits):
    dataset = open_dataset(digits, "digits")
    selections.save(digits, dataset, "one", np.array([1]), "by hand")
    for name, ids, text in (
        ("one", [2], "exists already and never changes"),
        ("../one", [2], "expected 1 to 64 letters"),
        ("none", [], "of no samples"),
    ):
        with pytest.raises(InputError, match=text):
            selections.save(digits, dataset, name, np.array(ids), "by hand")
    assert selections.place(selections.load(digits, "digits", "one"), identities(dataset)).sample_ids.tolist() == [1]
    with pytest.raises(NotFound):
        selections.load(digits, "digits", "two")


def test_a_damaged_or_newer_file_is_named(digits):
    dataset = open_dataset(digits, "digits")
    selections.save(digits, dataset, "one", np.array([1]), "by hand")
    path = digits.selection("digits", "one")
    sound = json.loads(path.read_text())
    for odd in ("{", "[]", json.dumps({**sound, "samples": [{"key": 5, "hash": "x"}]}), json.dumps({**sound, "samples": [["a", "b"]]})):
        path.write_text(odd)
        with pytest.raises(DamagedFile, match="one.json is damaged"):
            selections.load(digits, "digits", "one")
    path.write_text(json.dumps({**sound, "format": 2}))
    with pytest.raises(NewerFormat, match="format 2; this version reads up to 1"):
        selections.load(digits, "digits", "one")
