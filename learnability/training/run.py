"""RunConfig -> everything meets -> committed recording."""

import concurrent.futures
import contextlib
import copy
import dataclasses
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
from learnability.training.ranks import Ranks, smallest_share
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
    threads   CPU threads; by default all cores (of several ranks each its part), in a resume those of before
    progress  called now and then: progress(images done, images in all, epoch=..., phase=...)
    stop      a Stop that somebody may ask; SIGTERM, SIGINT and a file `stop` in the run folder ask it too
    restart   begin again from epoch 0 where the checkpoint is damaged
    eager     nothing compiled, no CUDA graphs: the reference to check against; a resume goes on as the run began
    pictures  gives the originals of a data set for a frozen backbone; by default its thumbnails and prepared images are taken
    own_architectures  name -> spelling of further architectures, beside those registered in the cache

    A run over several devices is called like this in as many processes, started by torchrun; the first of them writes.
    A run that is done is left alone. Raises TrainingError (NonFinite, OutOfMemory), StoreError, ConfigError; where the
    run had begun, HEAD then says `failed` and why.
    """
    cache = cache if isinstance(cache, Cache) else Cache.at(cache)
    ranks = Ranks.joined(config.devices, device)
    with ranks.noticing():
        if (done := ranks.told(lambda: _fields(_done(cache, config, restart)))) is not None:
            return Head(**done)
        with _ready(config, cache, device, threads, progress, stop, restart, policy, own_architectures, eager, pictures, ranks) as begin:
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
    """Trains several runs side by side on one device, each as alone with its threads; what came of each, in their order.

    On CUDA every run has a stream of its own, so small networks fill a large device together; on the CPU each has its
    share of the cores, which do not wait for one another then. Each keeps its own lock, recording and `stop` file; SIGTERM
    stops all; one that fails leaves the others at work, and its error is its outcome.
    `progress` makes the function that is told of a run. All need memory at once. Where one is deterministic all are, as the
    process has one setting.
    """
    cache, stop = cache if isinstance(cache, Cache) else Cache.at(cache), stop or Stop()
    if shared := [config.run_id for config in configs if config.devices > 1]:
        raise ConfigError(f"{shared[0]} side by side with others: expected runs on one device. Train it by itself.")
    found = [_done(cache, config, restart) for config in configs]
    outcomes: dict[int, Head | BaseException] = {number: head for number, head in enumerate(found) if head is not None}
    share, more = len(configs) - len(outcomes), (stop, restart, policy, own_architectures, eager, pictures)
    strict = any(config.deterministic for number, config in enumerate(configs) if number not in outcomes)
    with contextlib.ExitStack() as stack:
        begins = {}
        for number, config in enumerate(configs):
            if number in outcomes:
                continue
            told = progress(config) if progress else None
            try:
                begins[number] = stack.enter_context(_ready(config, cache, device, threads, told, *more, share=share, strict=strict))
            except (LearnabilityError, RuntimeError) as error:
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


def _fields(head: Head | None) -> dict | None:
    return None if head is None else dataclasses.asdict(head)


def _done(cache: Cache, config: RunConfig, restart: bool) -> Head | None:
    head = _head(cache, config)
    return head if head is not None and head.state == "done" and not restart else None


@contextlib.contextmanager
def _ready(
    config: RunConfig,
    cache: Cache,
    device: str,
    threads,
    progress,
    stop,
    restart,
    policy,
    own_architectures,
    eager,
    pictures,
    ranks: Ranks = Ranks(),
    share: int = 1,
    strict: bool = False,
) -> Iterator:
    """A run that is open and on the device, which `share` of them have: the function that trains it, once.

    strict  deterministic algorithms even where the run does not ask for them
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads {threads}: expected at least 1.")
    where = ranks.device(device)
    material = ranks.after_first(lambda: gathered(cache, config))
    stored = ranks.told(lambda: _stored_environment(cache, config))
    cores = ranks.threads() // share if where.type == "cpu" else ranks.threads()
    threads = threads or stored.get("threads") or max(1, cores)
    if where.type == "cpu":
        devices.keep_freed_memory()
    if where.type == "cuda":
        torch.cuda.set_device(where)  # what asks for the current stream means this device's
    with devices.numerics(threads, strict or config.deterministic), stop_on_signals(stop) as asked:
        given = (material, where, asked, policy, progress, eager)
        with _ending(None, config, where):
            if config.start is not None:
                session = HeadSession(config, cache, *given, pictures, own_of(cache, own_architectures))
            else:
                session = ranks.after_first(lambda: _on_images(config, own_of(cache, own_architectures), ranks, *given))
                session.side_by_side = share
            environment = session.settle(stored, threads, cache.probes)
        with _opened(cache, config, material, environment, restart, ranks) as writer:
            with _ending(writer, config, where), ranks.noticing():
                session.begin(writer)

            def begin() -> Head:
                torch.get_num_threads()  # the first call of a thread takes the number of the run that was made ready last
                torch.set_num_threads(threads)
                with _ending(writer, config, where), ranks.noticing():
                    return session.run(writer)

            yield begin


@contextlib.contextmanager
def _opened(cache: Cache, config: RunConfig, material: Material, environment: dict, restart: bool, ranks: Ranks) -> Iterator[RunWriter]:
    """The writer of the run at the first rank; at the others what reads along."""
    if not ranks.first:
        folder = cache.run_folder(config.data, config.run_id)
        yield Follower(cache, config, folder, Head(**ranks.told()), environment)
        return
    rows = (material.ids_N, material.labels_N, material.trained_N, material.class_count)
    with RunWriter.open(cache, config, *rows, environment, restart=restart) as writer:
        ranks.told(lambda: _fields(writer.head))
        yield writer


class Follower(RunWriter):
    """What a rank other than the first has for a writer: it reads the checkpoint, and writes nothing."""

    stop_asked = False

    def commit(self, *_given) -> None:
        raise AssertionError("the first rank commits")

    def write_scores(self) -> float:
        return 0.0

    def progress(self, **_fields) -> None:
        pass

    def finish(self, state: str, reason: str | None = None) -> Head:
        return dataclasses.replace(self.head, state=state, reason=reason)


def _on_images(config: RunConfig, own: dict[str, Registered], ranks: Ranks, material: Material, *given) -> Session:
    """A run of a network on the images: built, tried where it is not ours, and fit for the last batch."""
    H, W, C = material.images.shape[1:]
    origin = architectures.origin_of(config.arch, own)
    network, traits = architectures.built(origin, config.arch, material.class_count, C, config.seed, (H, W))
    _refuse_batch_of_one(config, network, material)
    return Session(config, material, *given, network=network, origin=origin, traits=traits, ranks=ranks)


def own_of(cache: Cache, more: dict[str, str] | None = None) -> dict[str, Registered]:
    """Architectures of one's own: those registered in the cache, and `more` of them."""
    return registered(cache) | {name: Registered(name, spec) for name, spec in (more or {}).items()}


def _refuse_batch_of_one(config: RunConfig, network: nn.Module, material: Material) -> None:
    """A last batch of one sample is kept; a network whose batch norm sees a single value there cannot train on it.

    Of several devices each has to have a row of a whole batch.
    """
    count = int(material.trained_N.sum())
    if min(count, config.batch_size) < config.devices:
        raise ConfigError(
            f"devices {config.devices} for {count} samples in batches of {config.batch_size}: expected at least one row a device and "
            f"batch. Use --devices {min(count, config.batch_size)} or fewer."
        )
    if smallest_share([config.batch_size, count % config.batch_size or config.batch_size], config.devices) != 1:
        return
    trial = copy.deepcopy(network).train()
    H, W, C = material.images.shape[1:]
    try:
        with torch.random.fork_rng(devices=[]):
            trial(torch.zeros(1, C, H, W))
    except ValueError as error:
        if config.devices > 1:
            raise ConfigError(
                f"{count} samples in batches of {config.batch_size} over {config.devices} devices leave a device one row of a batch, "
                f"which {config.arch} cannot train on ({error}). Choose another batch size, or fewer devices."
            ) from error
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
    """What the first trainer of this run wrote, {} before it, and where nothing was recorded since: it may have stopped as it chose."""
    head = _head(cache, config)
    if head is not None and not head.begun:
        return {}
    try:
        return read_json(cache.run_folder(config.data, config.run_id) / "environment.json")
    except NotFound:
        return {}


@contextlib.contextmanager
def _ending(writer: RunWriter | None, config: RunConfig, device: torch.device) -> Iterator[None]:
    """Whatever ends a run early stands in HEAD.json, in words, once there is a writer; out of memory is OutOfMemory from the start."""
    try:
        yield
    except BaseException as error:
        state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(StoreError):
            if writer is not None:
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
