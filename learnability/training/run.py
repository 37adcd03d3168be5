"""RunConfig -> everything meets -> committed recording."""

import concurrent.futures
import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from learnability.config import RunConfig
from learnability.datasets import Dataset
from learnability.errors import ConfigError, LearnabilityError, NotFound, OutOfMemory, StoreError
from learnability.store.architectures import Registered, registered
from learnability.store.files import read_json
from learnability.store.paths import Cache
from learnability.store.runs import Head, load_run
from learnability.store.writer import RunWriter
from learnability.training import architectures, devices
from learnability.training.commits import CommitPolicy
from learnability.training.extraction import Pictures
from learnability.training.head_session import HeadSession
from learnability.training.material import Material, gathered
from learnability.training.session import Session
from learnability.training.stopping import Stop, stop_on_signals


def train(
    config: RunConfig,
    cache: Cache | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[..., None] | None = None,
    stop: Stop | None = None,
    restart: bool = False,
    policy: CommitPolicy = CommitPolicy(),
    own_architectures: dict[str, str] | None = None,
    eager: bool = False,
    pictures: Callable[[Dataset], Pictures] | None = None,
) -> Head:
    """Trains one run to its end, or on from where it stands, and returns its HEAD: state done or stopped.

    cache     where data set and run lie; by default the cache of this checkout
    device    auto, cpu, cuda, cuda:<i> or mps
    threads   CPU threads; by default all cores, in a resume those of before
    progress  called now and then: progress(images done, images in all, epoch=..., phase=...)
    stop      a Stop that somebody may ask; SIGTERM, SIGINT and a file `stop` in the run folder ask it too
    restart   begin again from epoch 0 where the checkpoint is damaged
    eager     nothing compiled, no CUDA graphs: the reference to check against; a resume goes on as the run began
    pictures  gives the originals of a data set for a frozen backbone; by default its thumbnails and prepared images are taken
    own_architectures  name -> spelling of further architectures, beside those registered in the cache

    A run that is done is left alone. Raises TrainingError (NonFinite, OutOfMemory), StoreError, ConfigError; where the
    run had begun, HEAD then says `failed` and why.
    """
    cache = cache if isinstance(cache, Cache) else Cache.at(cache)
    if (done := _done(cache, config, restart)) is not None:
        return done
    with _ready(config, cache, device, threads, progress, stop, restart, policy, own_architectures, eager, pictures) as begin:
        return begin()


def train_together(
    configs: Sequence[RunConfig],
    cache: Cache | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[RunConfig], Callable[..., None]] | None = None,
    stop: Stop | None = None,
    restart: bool = False,
    policy: CommitPolicy = CommitPolicy(),
    own_architectures: dict[str, str] | None = None,
    eager: bool = False,
    pictures: Callable[[Dataset], Pictures] | None = None,
) -> list[Head | BaseException]:
    """Trains several runs side by side on one device, each as if it were alone; what came of each, in their order.

    On CUDA every run has a stream of its own, so small networks fill a large device together. Each keeps its own lock,
    recording and `stop` file; SIGTERM stops all; one that fails leaves the others at work, and its error is its outcome.
    `progress` makes the function that is told of a run. All need memory at once.
    """
    cache, stop = cache if isinstance(cache, Cache) else Cache.at(cache), stop or Stop()
    outcomes: dict[int, Head | BaseException] = {}
    with contextlib.ExitStack() as stack:
        begins = {}
        for number, config in enumerate(configs):
            if (done := _done(cache, config, restart)) is not None:
                outcomes[number] = done
                continue
            told = progress(config) if progress else None
            try:
                begins[number] = stack.enter_context(
                    _ready(config, cache, device, threads, told, stop, restart, policy, own_architectures, eager, pictures)
                )
            except LearnabilityError as error:
                outcomes[number] = error

        def side(number: int) -> Head:
            with _own_stream(devices.resolve(device)):
                return begins[number]()

        with concurrent.futures.ThreadPoolExecutor(max(len(begins), 1)) as sides:
            at_work = {number: sides.submit(side, number) for number in begins}
        for number, one in at_work.items():
            outcomes[number] = one.exception() or one.result()
    return [outcomes[number] for number in range(len(configs))]


def _own_stream(device: torch.device) -> contextlib.AbstractContextManager:
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else contextlib.nullcontext()


def _done(cache: Cache, config: RunConfig, restart: bool) -> Head | None:
    head = _head(cache, config)
    return head if head is not None and head.state == "done" and not restart else None


@contextlib.contextmanager
def _ready(
    config: RunConfig, cache: Cache, device: str, threads, progress, stop, restart, policy, own_architectures, eager, pictures
) -> Iterator:
    """A run that is open and on the device: the function that trains it, once."""
    _refuse_unavailable(config)
    where = devices.resolve(device)
    material = gathered(cache, config)
    stored = _stored_environment(cache, config)
    threads = threads or stored.get("threads") or devices.usable_cores()
    if where.type == "cpu":
        devices.keep_freed_memory()
    if where.type == "cuda":
        torch.cuda.set_device(where)  # what asks for the current stream means this device's
    with devices.numerics(threads, config.deterministic), stop_on_signals(stop) as asked:
        given = (material, where, asked, policy, progress, eager)
        if config.start is not None:
            session = HeadSession(config, cache, *given, pictures, own_of(cache, own_architectures))
        else:
            session = _on_images(config, own_of(cache, own_architectures), *given)
        environment = session.settle(stored, threads, cache.probes)
        opened = RunWriter.open(
            cache, config, material.ids_N, material.labels_N, material.trained_N, material.class_count, environment, restart=restart
        )
        with opened as writer:
            with _ending(writer, config, where):
                session.begin(writer)

            def begin() -> Head:
                with _ending(writer, config, where):
                    return session.run(writer)

            yield begin


def _on_images(config: RunConfig, own: dict[str, Registered], material: Material, *given) -> Session:
    """A run of a network on the images: built, tried where it is not ours, and fit for the last batch."""
    H, W, C = material.images.shape[1:]
    origin = architectures.origin_of(config.arch, own)
    network, traits = architectures.built(origin, config.arch, material.class_count, C, config.seed, (H, W))
    _refuse_batch_of_one(config, network, material)
    return Session(config, material, *given, network=network, origin=origin, traits=traits)


def own_of(cache: Cache, more: dict[str, str] | None = None) -> dict[str, Registered]:
    """Architectures of one's own: those registered in the cache, and `more` of them."""
    return registered(cache) | {name: Registered(name, spec) for name, spec in (more or {}).items()}


def _refuse_unavailable(config: RunConfig) -> None:
    if config.devices != 1:
        raise ConfigError(f"devices {config.devices!r}: not available in this version. Leave it at 1.")


def _refuse_batch_of_one(config: RunConfig, network: nn.Module, material: Material) -> None:
    """A last batch of one sample is kept; a network whose batch norm sees a single value there cannot train on it."""
    count = int(material.trained_N.sum())
    if count % config.batch_size != 1:
        return
    trial = copy.deepcopy(network).train()
    H, W, C = material.images.shape[1:]
    try:
        with torch.random.fork_rng(devices=[]):
            trial(torch.zeros(1, C, H, W))
    except ValueError as error:
        raise ConfigError(
            f"{count} samples in batches of {config.batch_size} leave a last batch of one, which {config.arch} cannot train on ({error}). "
            f"Choose another batch size, for example {config.batch_size - 1 if config.batch_size > 2 else 3}."
        ) from error


def _head(cache: Cache, config: RunConfig) -> Head | None:
    try:
        run = load_run(cache, config.data, config.run_id)
    except NotFound:
        return None
    return None if run.problem else run.head


def _stored_environment(cache: Cache, config: RunConfig) -> dict:
    """What the first trainer of this run wrote, {} before it."""
    try:
        return read_json(cache.run_folder(config.data, config.run_id) / "environment.json")
    except NotFound:
        return {}


@contextlib.contextmanager
def _ending(writer: RunWriter, config: RunConfig, device: torch.device) -> Iterator[None]:
    """Whatever ends a run early stands in HEAD.json, in words."""
    try:
        yield
    except BaseException as error:
        state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(StoreError):
            writer.finish(state, _reason(error, config, device))
        if devices.out_of_memory(error):
            raise OutOfMemory(_reason(error, config, device)) from error
        raise


def _reason(error: BaseException, config: RunConfig, device: torch.device) -> str:
    if devices.out_of_memory(error):
        smaller = max(config.batch_size // 2, 2)
        return (
            f"{device.type.upper()} out of memory at batch size {config.batch_size}; what was committed is kept. Launch a run with "
            f"--batch-size {smaller} (another recipe), or free memory on the device and resume."
        )
    if isinstance(error, KeyboardInterrupt):
        return "asked to stop"
    if isinstance(error, LearnabilityError):
        return str(error)
    return f"{type(error).__name__}: {error}"
