"""Scalars of a run for TensorBoard or MLflow: every committed look, as it stands in the cache. Nothing is imported unless asked for."""

from collections.abc import Callable

from learnability.config import RunConfig
from learnability.errors import InputError, NotFound
from learnability.store.paths import Cache
from learnability.store.runs import load_looks

SCALARS = ("loss", "accuracy", "test_accuracy", "learning_rate", "images_per_second")
KINDS = ("tensorboard", "mlflow")


class Tracker:
    """Follows runs: `follow` tells what was committed since it was called last. A run that is resumed is told from its first look."""

    def __init__(self, kind: str, cache: Cache):
        if kind not in KINDS:
            raise InputError(f"tracker {kind!r}: expected {' or '.join(KINDS)}.")
        self.cache, self.begin = cache, {"tensorboard": self._tensorboard, "mlflow": self._mlflow}[kind]
        self.told: dict[str, int] = {}
        self.open: dict[str, tuple[Callable, Callable]] = {}  # run id -> (tell a scalar, close)

    def follow(self, config: RunConfig) -> None:
        """Tells the run's new looks."""
        try:
            looks = load_looks(self.cache, config.data, config.run_id)
        except NotFound:
            return  # not begun yet
        if config.run_id not in self.open:
            self.open[config.run_id] = self.begin(config)
        tell, _ = self.open[config.run_id]
        for look in looks[self.told.get(config.run_id, 0) :]:
            for name in SCALARS:
                if look.get(name) is not None:
                    tell(name, float(look[name]), int(look["epoch"]))
        self.told[config.run_id] = len(looks)

    def close(self) -> None:
        for _, close in self.open.values():
            close()
        self.open.clear()

    def _tensorboard(self, config: RunConfig) -> tuple[Callable, Callable]:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("TensorBoard is not installed: expected tensorboard. Install it: pip install tensorboard") from error
        writer = SummaryWriter(self.cache.tensorboard / config.data / config.run_id, purge_step=0)
        return writer.add_scalar, writer.close

    def _mlflow(self, config: RunConfig) -> tuple[Callable, Callable]:
        try:
            import mlflow
        except ImportError as error:
            raise InputError("MLflow is not installed: expected mlflow. Install it: pip install mlflow") from error
        client = mlflow.MlflowClient()
        found = client.get_experiment_by_name(config.data)
        experiment = found.experiment_id if found else client.create_experiment(config.data)
        run = client.create_run(experiment, run_name=config.run_id, tags={"recipe": config.recipe, "fingerprint": config.fingerprint})
        for name, value in config.to_json().items():
            client.log_param(run.info.run_id, name, value)

        def tell(name: str, value: float, step: int) -> None:
            client.log_metric(run.info.run_id, name, value, step=step)

        return tell, lambda: client.set_terminated(run.info.run_id)
