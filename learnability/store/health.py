"""What `doctor` asks of the cache: every checksum, every pixel, and what to do about what it finds."""

import zlib
from collections.abc import Iterator

import numpy as np

from learnability.datasets import image_hash, open_version
from learnability.errors import DamagedFile, LearnabilityError, NotFound
from learnability.store.datasets import label_versions
from learnability.store.files import read_file, read_json
from learnability.store.locks import hold, is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import check_format, load_array, load_recording, load_run
from learnability.store.scores import load_run_scores, scored_looks, write_scores


def dataset_problems(cache: Cache, name: str, fingerprint8: str, progress=None) -> Iterator[str]:
    """What is wrong with one data set version, a sentence each: every image is hashed anew."""
    folder = cache.dataset_folder(name, fingerprint8)
    try:
        check_format(folder / "dataset.json", read_json(folder / "dataset.json"))
        for version in label_versions(cache, name, fingerprint8):
            dataset = open_version(folder, version)
    except LearnabilityError as error:
        yield f"{error} Prepare the data set again; its runs keep their scores."
        return
    if dataset.images is None:
        return
    samples = dataset.all_samples()
    hashes, bad = samples["hash"].to_pylist(), []
    for i, expected in enumerate(hashes):
        image = dataset.images[i] if i < dataset.N else dataset.test_images[i - dataset.N]
        if image_hash(np.asarray(image)) != expected:
            bad.append(i)
        if progress and (i % 1000 == 999 or i + 1 == len(hashes)):
            progress(i + 1, len(hashes))
    if bad:
        yield (
            f"{folder / 'images.npy'} is damaged: {len(bad)} images differ from what was prepared, first sample {bad[0]}. "
            "Prepare the data set again from its source; runs of this version cannot be resumed."
        )


def run_problems(cache: Cache, data: str, run_id: str, repair: bool = False) -> Iterator[str]:
    """What is wrong with one run: lengths, the crc32 of every look, the checkpoint, the scores. `repair` makes scores anew."""
    run = load_run(cache, data, run_id)
    if run.problem:
        yield f"{run.problem} Delete the run's folder or restore the file; other runs are not affected."
        return
    if run.head is None:
        return
    if run.looks:
        try:
            load_recording(cache, data, run_id, verify=True)
        except LearnabilityError as error:
            yield f"{error} Delete the run's folder and train it again; other runs are not affected."
            return
        yield from _score_problems(cache, data, run_id, run.looks, repair)
    for name in ("features.npy", "heldout.npy"):
        try:
            load_array(cache, data, run_id, name)
        except DamagedFile as error:
            yield f"{error} The scores are not affected."
    checkpoint = run.head.checkpoint
    folder = cache.run_folder(data, run_id)
    if checkpoint is not None:
        try:
            damaged = zlib.crc32(read_file(folder / checkpoint["file"])) != checkpoint["crc32"]
        except NotFound:
            damaged = True
        if damaged and load_run(cache, data, run_id).head.checkpoint == checkpoint:
            yield f"{folder / checkpoint['file']} is damaged or gone: the recording is whole; a resume begins again (train --restart)."


def _score_problems(cache: Cache, data: str, run_id: str, looks: int, repair: bool) -> Iterator[str]:
    problem = None
    try:
        load_run_scores(cache, data, run_id)
    except (DamagedFile, NotFound) as error:
        problem = str(error)
    if problem is None and scored_looks(cache, data, run_id) < looks and not is_held(cache, run_lock(data, run_id)):
        problem = f"run {run_id} has scores of {scored_looks(cache, data, run_id)} looks, {looks} are recorded."
    if problem is None:
        return
    if repair and not is_held(cache, run_lock(data, run_id)):
        with hold(cache, run_lock(data, run_id)):
            write_scores(cache, data, run_id)
        yield f"{problem} Repaired: made anew from the recording."
    else:
        yield f"{problem} Make it anew: python -m learnability doctor --repair"
