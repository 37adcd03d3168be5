"""A run of a head on the features of a frozen backbone. The features are made first, where nobody made them yet."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from learnability.config import RunConfig
from learnability.datasets import Dataset
from learnability.errors import Locked, StoreError
from learnability.store.architectures import Registered
from learnability.store.datasets import open_dataset
from learnability.store.features import FeatureWriter, feature_set, load_features
from learnability.store.files import write_json
from learnability.store.paths import Cache
from learnability.store.writer import RunWriter
from learnability.training import backbones, devices
from learnability.training.commits import CommitPolicy
from learnability.training.environment import described
from learnability.training.extraction import Pictures, extracted
from learnability.training.features import Features
from learnability.training.foreign import Origin
from learnability.training.heads import HEADS
from learnability.training.material import Material
from learnability.training.session import Session
from learnability.training.stopping import Dropped, Pace, Stop
from learnability.training.ways import Forward, Way

WAY = Way("fp32", "nchw")


class HeadSession(Session):
    """Like a session on images; the images are features, of which a batch is a row each."""

    def __init__(
        self,
        config: RunConfig,
        cache: Cache,
        material: Material,
        device: torch.device,
        stop: Stop,
        policy: CommitPolicy,
        progress: Callable[..., None] | None,
        eager: bool,
        pictures: Callable[[Dataset], Pictures] | None,
        own: dict[str, Registered],
    ):
        self.cache, self.pictures, self.own = cache, pictures, own
        self.set = feature_set(cache, config.data, config.fingerprint[:8], config.start)
        builder = HEADS[config.arch]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(config.seed)
            network = builder(material.class_count, self.set.backbone.dimension)
        origin = Origin(f"{config.arch} on {config.start}", builder, lambda *_: network, ours=True)
        super().__init__(config, material, device, stop, policy, progress, eager, network=network, origin=origin)

    def _eval_batch(self, _height: int, _width: int) -> int:
        return super()._eval_batch(32, 32)  # a row of features needs less than such an image

    @property
    def may_capture(self) -> bool:
        return False

    def settle(self, stored: dict, threads: int, _probes: Path) -> dict:
        """The head on the device; the environment."""
        self.threads, self.way, self.network = threads, WAY, WAY.prepared(self.network, self.device)
        self.forward = Forward(self.network, WAY, self.device, self.config.batch_size)
        told = described(self.config, self.network, self.origin, self.device, threads, WAY, None, None, self.augment)
        backbone = self.set.backbone
        return told | {"backbone": backbone.spec, "backbone_weights": backbone.weights, "backbone_package": backbone.package}

    def _gather(self, writer: RunWriter, pace: Pace) -> None:
        """Features of all rows, and what a batch reads of them."""
        config, material = self.config, self.material
        dataset = open_dataset(self.cache, config.data, config.fingerprint[:8], config.labels)
        while self.set.made is None:
            self._make(dataset, pace)
            self.set = feature_set(self.cache, config.data, config.fingerprint[:8], config.start)
        features = load_features(self.set, dataset.N + len(dataset.test_labels_T))
        self._note(writer)
        self.images = Features(self.set, features, material.ids_N, self.device)
        self.labels = torch.from_numpy(material.labels_N).to(self.device)
        if len(material.test_ids):
            self.test_images = Features(self.set, features, material.test_ids + dataset.N, self.device)
            self.test_labels = torch.from_numpy(material.test_labels_T[material.test_ids]).to(self.device)

    def _make(self, dataset: Dataset, pace: Pace) -> None:
        """The pass of the backbone over all images; another run's pass over them is waited for."""
        config, rows, last = self.config, dataset.N + len(dataset.test_labels_T), 0.0

        def goes_on(done: int) -> bool:
            nonlocal last
            if time.monotonic() - last >= self.policy.tell_s:
                last = time.monotonic()
                pace.tell("features")
                if self.progress is not None:
                    self.progress(0, config.epochs * len(self.trained_rows), phase="features", images=f"{done}/{rows}")
            return not pace.poll()

        try:
            with FeatureWriter.opened(self.cache, config.data, config.fingerprint[:8], self.set, rows) as writer:
                if feature_set(self.cache, config.data, config.fingerprint[:8], config.start).made is not None:
                    return
                network = backbones.network_of(self.set.backbone, self.own)
                pictures = self.pictures(dataset) if self.pictures is not None else None
                whole = extracted(writer, self.set, dataset, network, self.device, self.threads, pictures, goes_on)
        except Locked:
            pace.tell("features")
            time.sleep(0.5)
            whole = not pace.poll()
        if not whole:
            raise Dropped
        if self.device.type == "cuda":
            devices.synchronize(self.device)
            torch.cuda.empty_cache()

    def _note(self, writer: RunWriter) -> None:
        """Which features this run is made of stands in its environment.json; a resume on others is refused."""
        crc = self.set.made["crc32"]
        before = writer.environment.get("features_crc32")
        if before is None:
            writer.environment["features_crc32"] = crc
            writer.environment["features_from"] = self.set.made["pictures"]
            write_json(writer.folder / "environment.json", writer.environment)
        elif before != crc:
            raise StoreError(
                f"{self.config.run_id} was begun on other features {self.set.name}: they were made anew since, with other numbers "
                "(another device, thread count or version). Delete the run and launch it again."
            )

    def _keep_last_layer(self, writer: RunWriter, pace: Pace) -> None:
        """A linear head sees the backbone's features, which are kept already; held-out probabilities are kept of any head."""
        if self.config.arch != "linear" or self.config.folds is not None:
            super()._keep_last_layer(writer, pace)
