"""Preparing again: nothing new, a version beside the old one, damage repaired; names, space, locks, leftovers."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learnability.datasets import image_hash, open_version
from learnability.errors import DiskFull, InputError, Locked
from learnability.prepare import prepare
from learnability.store.locks import hold
from learnability.store.paths import Cache
from tests.prepare.photo_folders import everything, photos
from tests.sources.odd_files import encoded, picture
from tests.sources.test_parquet import write


class TestAgain:
    def test_the_same_is_written_no_second_time(self, cache, tmp_path):
        photos(tmp_path / "pets")
        first = prepare(cache, str(tmp_path / "pets"))
        before = everything(cache.root / "datasets")
        again = prepare(cache, str(tmp_path / "pets"))
        assert first.new and not again.new and again.folder == first.folder and not again.rewritten
        assert everything(cache.root / "datasets") == before and "nothing new" in again.summary()

    def test_a_changed_source_makes_a_version_beside_the_old_one(self, cache, tmp_path):
        top = photos(tmp_path / "pets")
        first = prepare(cache, str(top))
        mapped, before = open_version(first.folder), everything(first.folder)
        (top / "cat" / "1.png").unlink()
        (top / "dog" / "0.png").write_bytes(encoded(picture(777, 60, 45), "PNG"))
        second = prepare(cache, str(top))
        assert (
            second.new
            and set(cache.versions("pets")) == {first.folder.name, second.folder.name}
            and cache.current("pets") == second.folder.name
        )
        assert everything(first.folder) == before and image_hash(mapped.images[0]) == mapped.hashes[0]
        old, new = (dict(zip(open_version(one.folder).keys, open_version(one.folder).hashes, strict=True)) for one in (first, second))
        assert {key for key in old if new.get(key) == old[key]} == set(old) - {"cat/1.png", "dog/0.png"}

    def test_the_source_may_go_away(self, cache, tmp_path):
        top = photos(tmp_path / "pets")
        prepared = prepare(cache, str(top))
        shutil.rmtree(top)
        dataset = open_version(prepared.folder)
        assert [image_hash(image) for image in dataset.images] == dataset.hashes

    def test_back_to_an_earlier_content_moves_current_back(self, cache):
        small, large = prepare(cache, "digits", limit=50), prepare(cache, "digits", limit=60)
        again = prepare(cache, "digits", limit=50)
        assert not again.new and again.folder == small.folder and cache.current("digits") == small.folder.name != large.folder.name

    def test_other_labels_for_the_same_images_are_refused(self, cache, tmp_path):
        contents = [encoded(picture(i, 40, 40), "PNG") for i in range(6)]
        write(tmp_path / "p.parquet", 6, image=pa.array(contents), metadata=None)
        prepare(cache, str(tmp_path / "p.parquet"))
        before = everything(cache.root / "datasets")
        write(tmp_path / "p.parquet", 6, image=pa.array(contents), metadata=None, label=pa.array([1, 1, 0, 1, 0, 1]))
        with pytest.raises(InputError, match="but 1 labels differ, the first: '00000000'.*--name"):
            prepare(cache, str(tmp_path / "p.parquet"))
        assert everything(cache.root / "datasets") == before
        assert prepare(cache, str(tmp_path / "p.parquet"), name="other").new

    @pytest.mark.parametrize("file", ["images.npy", "thumbnails.bin", "samples.parquet", "labels/original.parquet", "dataset.json"])
    @pytest.mark.parametrize("how", ["gone", "flipped"])
    def test_damage_is_repaired(self, cache, tmp_path, file, how):
        source, more = (str(photos(tmp_path / "pets", (80, 70))), {}) if file == "thumbnails.bin" else ("digits", {"limit": 50})
        prepared = prepare(cache, source, **more)
        before = everything(prepared.folder)
        path = prepared.folder / file
        if how == "gone":
            path.unlink()
        else:
            content = bytearray(path.read_bytes())
            content[-200 if file == "images.npy" else 30 if file == "thumbnails.bin" else 5] ^= 255
            path.write_bytes(content)
        again = prepare(cache, source, **more)
        assert not again.new
        after = everything(prepared.folder)
        assert after.keys() == before.keys()
        assert all(after[name] == before[name] for name in before if name != "dataset.json")
        assert json.loads(after["dataset.json"])["fingerprint"] == prepared.fingerprint

    def test_new_rejects_beside_the_same_samples_are_listed(self, cache, tmp_path):
        top = photos(tmp_path / "pets")
        prepare(cache, str(top))
        (top / "cat" / "bad.png").write_bytes(b"")
        again = prepare(cache, str(top))
        assert (
            not again.new and again.rejects == 1 and pq.read_table(again.folder / "rejects.parquet")["key"].to_pylist() == ["cat/bad.png"]
        )
        assert json.loads((again.folder / "dataset.json").read_text())["rejects"] == 1


class TestCare:
    @pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "-x", "x" * 65, "ü", "a\n"])
    def test_names_are_checked(self, cache, name):
        with pytest.raises(InputError, match="for example"):
            prepare(cache, "digits", name=name)
        assert not cache.root.exists()

    def test_a_name_is_made_of_the_source(self, cache, tmp_path):
        photos(tmp_path / "my pets (2024)!")
        assert prepare(cache, str(tmp_path / "my pets (2024)!")).name == "my-pets-2024"
        photos(tmp_path / "日本")
        with pytest.raises(InputError, match="--name"):
            prepare(cache, str(tmp_path / "日本"))

    def test_two_at_once_on_one_name(self, cache):
        with hold(cache, "digits--prepare"), pytest.raises(Locked, match="digits--prepare is in use"):
            prepare(cache, "digits")

    def test_leftovers_of_a_killed_one_are_swept(self, cache):
        home = cache.dataset_home("digits")
        (home / ".tmp-images-00000000").mkdir(parents=True)
        (home / ".tmp-images-00000000" / "images.npy").write_bytes(b"half")
        (home / ".tmp-1234abcd-00000000").mkdir()
        prepare(cache, "digits", limit=50)
        assert not [path for path in home.iterdir() if path.name.startswith(".")]

    def test_too_little_space_is_found_before_anything_is_written(self, cache, monkeypatch):
        usage = shutil.disk_usage("/")._replace(free=1_000_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(DiskFull, match=r"needs 1 MB more in .*digits"):
            prepare(cache, "digits")
        assert not cache.dataset_home("digits").exists()

    def test_progress_is_told(self, cache, tmp_path, monkeypatch):
        monkeypatch.setattr("learnability.prepare.version._BEAT", 0)
        told = []
        prepare(cache, str(photos(tmp_path / "pets")), progress=lambda done, total, **more: told.append((done, total, more)))
        assert told[0] == (0, 8, {"sizes_read": 1}) and told[-1] == (8, 8, {})
        assert [done for done, _, more in told if not more] == [*range(1, 9), 8]

    def test_the_cache_can_be_moved(self, cache, tmp_path):
        prepare(cache, "digits", limit=50)
        shutil.move(cache.root, tmp_path / "elsewhere")
        moved = Cache.at(tmp_path / "elsewhere")
        assert open_version(moved.dataset_folder("digits")).N == 50
