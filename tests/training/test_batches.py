"""Order and views as functions of (seed, epoch), and the batches cut with them."""

import numpy as np
import pytest
import torch

from learnability.curriculum import PURPOSES, words
from learnability.training.batches import batches, channel_statistics, order, plain_batches, views
from learnability.training.images import PAD, Images
from tests.training.toy import pictures

CPU = torch.device("cpu")


def whole(images, seed=0, epoch=0, augment="crop-flip", layout="channels_last", batch_size=16, ids=None, **more):
    """rows, images, labels of one epoch, batches put together."""
    ids = np.arange(len(images)) if ids is None else ids
    labels = torch.arange(len(ids))
    cut = Images(images, ids, [0.0] * images.shape[3], [1 / 255] * images.shape[3], CPU, layout, **more)
    parts = list(batches(cut, labels, order(seed, epoch, ids), views(seed, epoch, ids, augment), batch_size))
    return [torch.cat(part) for part in zip(*parts, strict=True)], [len(part[0]) for part in parts]


def test_order_is_the_golden_one():
    ids = np.arange(8)
    assert order(0, 0, ids).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert order(0, 1, ids).tolist() == [7, 4, 2, 6, 5, 0, 1, 3]
    assert order(1, 0, ids).tolist() == [3, 5, 2, 7, 0, 6, 1, 4]


def test_a_subset_keeps_the_words_of_its_samples():
    ids, some = np.arange(50), np.array([3, 8, 9, 20, 41])
    full = [sample for sample in order(4, 7, ids) if sample in some]
    assert some[order(4, 7, some)].tolist() == full
    everything, subset = views(4, 7, ids, "crop-flip"), views(4, 7, some, "crop-flip")
    for name in ("y_n", "x_n", "flip_n"):
        assert np.array_equal(getattr(everything, name)[some], getattr(subset, name))


def test_views_are_uniform_and_differ_between_epochs_and_seeds():
    n = 20_000
    one = views(0, 0, np.arange(n), "crop-flip")
    assert abs(one.flip_n.mean() - 0.5) < 0.02
    places = np.bincount(one.y_n * 9 + one.x_n, minlength=81)
    assert len(places) == 81 and places.min() > n / 81 * 0.7
    for other in (views(0, 1, np.arange(n), "crop-flip"), views(1, 0, np.arange(n), "crop-flip")):
        assert (one.y_n == other.y_n).mean() < 0.2 and abs((one.flip_n == other.flip_n).mean() - 0.5) < 0.02
    flips = views(0, 0, np.arange(n), "flip")
    assert np.array_equal(flips.flip_n, one.flip_n) and (flips.y_n == PAD).all() and (flips.x_n == PAD).all()
    assert not views(0, 0, np.arange(n), "none").flip_n.any()


@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 40, 1)])
def test_every_image_is_the_window_of_its_padded_self_mirrored_or_not(shape):
    images = np.random.default_rng(0).integers(0, 256, (21, *shape), dtype=np.uint8)
    (rows, cut, labels), sizes = whole(images, seed=2, epoch=3)
    assert sizes == [16, 5] and sorted(rows.tolist()) == list(range(21)) and torch.equal(rows, labels)
    padded = np.pad(images, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
    crop, flip = words(2, PURPOSES["crop"], 3, 21), words(2, PURPOSES["flip"], 3, 21)
    for row, image in zip(rows.tolist(), cut, strict=True):
        y, x = divmod(int(crop[row]) % 81, 9)
        window = padded[row, y : y + shape[0], x : x + shape[1]]
        window = window[:, ::-1] if flip[row] >> np.uint64(63) else window
        assert np.array_equal(image.permute(1, 2, 0).round().numpy().astype(np.uint8), window)


def test_the_same_images_in_either_layout_resident_or_read_in_chunks_in_batches_of_any_size():
    images, _ = pictures(45, 3, 3, 32, seed=1)
    (rows, expected, _), _ = whole(images)
    row_bytes = 40 * 40 * 3
    chunks = [{"budget": 0, "batch": 16}, {"budget": 44 * row_bytes, "batch": 2}, {"budget": 2 * 35 * row_bytes, "batch": 16}]
    for changed in ({"layout": "nchw"}, *chunks, {"batch_size": 45}, {"batch_size": 64}, {"batch_size": 2}):
        (other_rows, other, _), sizes = whole(images, **changed)
        assert torch.equal(rows, other_rows) and torch.equal(expected, other) and sum(sizes) == 45
    for layout, memory_format in (("nchw", torch.contiguous_format), ("channels_last", torch.channels_last)):
        cut = Images(images, np.arange(45), [0] * 3, [1] * 3, CPU, layout)
        assert next(plain_batches(cut, torch.zeros(45), 8))[1].is_contiguous(memory_format=memory_format)


def test_images_that_do_not_fit_come_chunk_by_chunk_in_whole_batches():
    images, _ = pictures(45, 3, 3, 32, seed=1)
    cut = Images(images, np.arange(45), [0] * 3, [1] * 3, CPU, "nchw", batch=4, budget=2 * 11 * 40 * 40 * 3)
    assert not cut.resident and cut.half == 11
    places = cut.places(np.arange(45)[::-1].copy(), [4, 8, 12, 20, 31, 45 - 3, 45])
    assert places.chunks == [(0, 8), (8, 12), (12, 20), (20, 31), (31, 42), (42, 45)]
    assert places.places_n.max() < 22 and len(places.places_n) == 45


def test_rows_of_a_subset_are_its_own_images_and_a_plain_pass_shows_them_as_they_are():
    images, _ = pictures(30, 3, 1, 32, seed=1)
    ids = np.array([2, 5, 29])
    cut = Images(images, ids, [0.0], [1 / 255], CPU, "nchw")
    ((rows, shown, labels),) = plain_batches(cut, torch.tensor([7, 8, 9]), 16, np.array([0, 2]))
    assert rows.tolist() == [0, 2] and labels.tolist() == [7, 9]
    assert np.array_equal(shown.round().numpy().astype(np.uint8), images[ids[[0, 2]]].transpose(0, 3, 1, 2))


def test_channel_statistics_are_those_of_the_pixels_for_any_chunk(monkeypatch):
    images, _ = pictures(33, 3, 3, 32, seed=2)
    mean, std = channel_statistics(images)
    assert np.allclose(mean, images.mean((0, 1, 2)) / 255, rtol=1e-12)
    assert np.allclose(std, images.std((0, 1, 2)) / 255, rtol=1e-12)
    monkeypatch.setattr("learnability.training.batches._CHUNK", 32 * 32 * 3 * 4)
    assert channel_statistics(images) == (mean, std)
    flat = channel_statistics(np.full((2, 32, 32, 1), 9, np.uint8))
    assert flat[1] == [1 / 255]
