"""Vector code made for this processor while the program runs: LLVM writes it, Python says what.

What PyTorch has no operation for, loops over tiles with small sums in registers, is emitted here instruction by instruction. Vectors
are of `LANES` float32 and LLVM splits them into as many registers as the processor needs.
"""

import concurrent.futures
import ctypes
import functools
import os
import struct
from collections.abc import Callable, Sequence

import torch
from llvmlite import binding, ir

from learnability.training.devices import flushes_denormals

LANES = 16
FLOAT, DOUBLE, INTEGER, BIT = ir.FloatType(), ir.DoubleType(), ir.IntType(64), ir.IntType(1)
VECTOR, POINTER = ir.VectorType(FLOAT, LANES), FLOAT.as_pointer()
HALF = ir.VectorType(FLOAT, LANES // 2)  # where many vectors are alive at once
EXACT = ir.VectorType(DOUBLE, LANES)  # for what is summed over a whole batch
_THREADS = ("omp_get_thread_num", "omp_get_num_threads")


class Kernel:
    """A function of pointers to float32, of integers and of numbers, being written. It does a part of what there is to do.

    `pointers`, `integers`, `numbers`: names of its arguments, in the order of the call, each then in `given`. What is
    written through one pointer is reached through no other. `part`, `first`, `last`: number of this part, and what it does of 0, 1, ...
    """

    def __init__(self, name: str, pointers: Sequence[str], integers: Sequence[str], numbers: Sequence[str] = ()):
        self.module = ir.Module(name)
        types = [POINTER] * len(pointers) + [INTEGER] * len(integers) + [DOUBLE] * len(numbers)
        self.function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [*types, *[INTEGER] * 3]), name)
        for argument in self.function.args[: len(pointers)]:
            argument.add_attribute("noalias")
        *values, self.part, self.first, self.last = self.function.args
        self.given = dict(zip([*pointers, *integers, *numbers], values, strict=True))
        self.emit = ir.IRBuilder(self.function.append_basic_block())

    def integer(self, value: int | ir.Value) -> ir.Value:
        return ir.Constant(INTEGER, value) if isinstance(value, int) else value

    def sum(self, first: int | ir.Value, *others: int | ir.Value) -> ir.Value:
        return functools.reduce(lambda a, b: self.emit.add(a, self.integer(b)), others, self.integer(first))

    def product(self, first: int | ir.Value, *others: int | ir.Value) -> ir.Value:
        return functools.reduce(lambda a, b: self.emit.mul(a, self.integer(b)), others, self.integer(first))

    def offset(self, *places: tuple[int | ir.Value, int | ir.Value]) -> ir.Value:
        """Of what lies row by row: (index, size) of each dimension, the outermost first; the size of that one is not asked."""
        return functools.reduce(
            lambda outer, place: self.sum(self.product(outer, place[1]), place[0]), places[1:], self.integer(places[0][0])
        )

    def loop(self, first, last, body: Callable, step: int | ir.Value = 1, carried: Sequence[ir.Value] = ()) -> list[ir.Value]:
        """`body(index, *carried)` for first, first + step, ... below last; it returns what the next turn gets. Returns the last ones."""
        emit, before = self.emit, self.emit.block
        head, inside, after = (self.function.append_basic_block() for _ in range(3))
        emit.branch(head)
        emit.position_at_end(head)
        index, held = emit.phi(INTEGER), [emit.phi(value.type) for value in carried]
        for phi, value in zip([index, *held], [self.integer(first), *carried], strict=True):
            phi.add_incoming(value, before)
        emit.cbranch(emit.icmp_signed("<", index, self.integer(last)), inside, after)
        emit.position_at_end(inside)
        following = body(index, *held) or ()
        for phi, value in zip([index, *held], [self.sum(index, step), *following], strict=True):
            phi.add_incoming(value, emit.block)
        emit.branch(head)
        emit.position_at_end(after)
        return held

    def number(self, value: float) -> ir.Value:
        return ir.Constant(DOUBLE, float(value))

    def smaller(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self.emit.select(self.emit.icmp_signed("<", one, other), one, other)

    def at(self, pointer: ir.Value, *floats: int | ir.Value) -> ir.Value:
        """The pointer, so many float32 further on."""
        return self.emit.gep(pointer, [self.sum(*floats)])

    def load(self, pointer: ir.Value, kind: ir.Type) -> ir.Value:
        loaded = self.emit.load(self.emit.bitcast(pointer, kind.as_pointer()))
        loaded.align = 4
        return loaded

    def prefetch(self, pointer: ir.Value, written: bool) -> None:
        """Asks for a line of 64 bytes that is read, or written, soon."""
        number = ir.IntType(32)
        byte = ir.IntType(8).as_pointer()
        function = self.module.globals.get("llvm.prefetch.p0") or ir.Function(
            self.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0"
        )
        self.emit.call(function, [self.emit.bitcast(pointer, byte), *(ir.Constant(number, int(one)) for one in (written, 3, 1))])

    def store(self, vector: ir.Value, pointer: ir.Value) -> None:
        self.emit.store(vector, self.emit.bitcast(pointer, vector.type.as_pointer())).align = 4

    def filled(self, number: float | ir.Value, kind: ir.VectorType) -> ir.Value:
        """A vector of one number."""
        if isinstance(number, int | float):
            return ir.Constant(kind, [ir.Constant(kind.element, float(number))] * kind.count)
        undefined, places = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
        first = self.emit.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return self.emit.shuffle_vector(first, undefined, ir.Constant(places, [0] * kind.count))

    def transposed(self, vectors: Sequence[ir.Value]) -> list[ir.Value]:
        """LANES vectors, as a square of numbers: rows become columns. Each round lays halves of the rows into one another."""
        places, half = ir.VectorType(ir.IntType(32), LANES), LANES // 2
        picks = [[lane // 2 + lane % 2 * LANES + upper * half for lane in range(LANES)] for upper in (0, 1)]
        for _ in range(LANES.bit_length() - 1):
            pairs = zip(vectors[:half], vectors[half:], strict=True)
            vectors = [self.emit.shuffle_vector(*pair, ir.Constant(places, pick)) for pair in pairs for pick in picks]
        return vectors

    def buffer(self, floats: int) -> ir.Value:
        """Memory of this call alone; asked for outside of loops."""
        return self.emit.bitcast(self.emit.alloca(ir.ArrayType(FLOAT, floats)), POINTER)

    def fma(self, factor: float | ir.Value, vector: ir.Value, addend: ir.Value) -> ir.Value:
        """factor times vector plus addend, rounded once."""
        return self._built_in("fma", factor if isinstance(factor, ir.Value) else self.filled(factor, vector.type), vector, addend)

    def root(self, vector: ir.Value) -> ir.Value:
        return self._built_in("sqrt", vector)

    def _built_in(self, name: str, *vectors: ir.Value) -> ir.Value:
        kind = vectors[0].type
        whole = f"llvm.{name}.v{kind.count}{'f32' if kind.element == FLOAT else 'f64'}"
        function = self.module.globals.get(whole) or ir.Function(self.module, ir.FunctionType(kind, [kind] * len(vectors)), whole)
        return self.emit.call(function, vectors)

    def compiled(self) -> Callable[..., int]:
        """The function: `made(count, *arguments)` does 0..count-1 in as many parts as PyTorch has threads; returns how many.

        Arguments are float32 tensors for pointers, whose memory the code takes as it lies there, then integers, then numbers.
        A part is `least` at least, and there are no more parts than `threads`, if given. It runs without Python's lock.
        """
        self.emit.ret_void()
        share, team = self._share(), _team()
        if team is not None:
            self._of_team(share)
            for name in _THREADS:
                binding.add_symbol(name, ctypes.cast(team[name], ctypes.c_void_p).value)
        target = _target()
        module = binding.parse_assembly(str(self.module))
        passes = binding.create_pass_builder(target, binding.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(module, passes)
        engine = binding.create_mcjit_compiler(module, target)
        engine.finalize_object()
        alone = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("share"))
        of_team = team and ctypes.c_void_p(engine.get_function_address("team"))
        of_tensors, of_numbers = (sum(one.type == kind for one in self.given.values()) for kind in (POINTER, DOUBLE))
        words = struct.Struct(f"{2 + len(self.given) - of_numbers}q{of_numbers}d")

        def made(count: int, *arguments: torch.Tensor | int | float, least: int = 1, threads: int | None = None) -> int:
            parts = max(1, min(threads or torch.get_num_threads(), count // least))
            call = words.pack(count, parts, *(one.data_ptr() for one in arguments[:of_tensors]), *arguments[of_tensors:])

            def share(part: int, flushes: bool, *_held: torch.Tensor | int | float) -> None:
                torch.set_flush_denormal(flushes)
                alone(call, part, parts)

            if parts == 1:
                alone(call, 0, 1)
            elif team is not None:
                team["GOMP_parallel"](of_team, call, parts, 0)
            else:
                # with the tensors: an interrupt may end this call, and free them, before the others are done
                flushes = flushes_denormals()
                others = [_threads(os.getpid()).submit(share, part, flushes, *arguments) for part in range(1, parts)]
                alone(call, 0, parts)
                for other in others:
                    other.result()
            return parts

        made.engine = engine  # it owns the code
        return made

    def _share(self) -> ir.Function:
        """void share(call, thread, threads): every `threads`-th part from number `thread` on; call: count, parts, arguments."""
        words = INTEGER.as_pointer()
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [words, INTEGER, INTEGER]), "share")
        call, thread, threads = function.args
        work, self.function = self.function, function
        emit = self.emit = ir.IRBuilder(function.append_basic_block())

        def word(number: int, kind: ir.Type = INTEGER) -> ir.Value:
            pointer = emit.gep(call, [self.integer(number)])
            return emit.load(emit.bitcast(pointer, kind.as_pointer()))

        arguments = [word(number, argument.type) for number, argument in enumerate(work.args[:-3], 2)]
        count, parts = word(0), word(1)

        def part(number: ir.Value) -> None:
            bounds = [emit.udiv(self.product(count, self.sum(number, more)), parts) for more in (0, 1)]
            emit.call(work, [*arguments, number, *bounds])

        self.loop(thread, parts, part, threads)
        emit.ret_void()
        return function

    def _of_team(self, share: ir.Function) -> None:
        """void team(call): what each thread of OpenMP's team runs."""
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [INTEGER.as_pointer()]), "team")
        emit, number = ir.IRBuilder(function.append_basic_block()), ir.IntType(32)
        mine = [emit.call(ir.Function(self.module, ir.FunctionType(number, []), name), []) for name in _THREADS]
        emit.call(share, [function.args[0], *(emit.zext(one, INTEGER) for one in mine)])
        emit.ret_void()


def reached(*tensors: torch.Tensor) -> bool:
    """Whether a kernel can take these tensors: float32 in main memory."""
    return all(one.dtype == torch.float32 and one.is_cpu for one in tensors)


def registers() -> int:
    """How many vectors of LANES fit into the processor's registers: 32 with AVX-512, else 8 (16 of half the size)."""
    return 32 if _features().get("avx512f") else 8


@functools.cache
def _team() -> dict | None:
    """Functions of the OpenMP that PyTorch has loaded, so that its threads run this too: others would contend with them for cores."""
    try:
        library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
        return {name: getattr(library, name) for name in ("GOMP_parallel", *_THREADS)}
    except (OSError, AttributeError):
        return None


@functools.cache
def _threads(_process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Of this process: those of another one are not there after a fork."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="kernels")


def _features() -> binding.FeatureMap:
    """What this processor has beyond the least of its kind; nothing where LLVM cannot tell."""
    try:
        return binding.get_host_cpu_features()
    except RuntimeError:
        return binding.FeatureMap()


def _target() -> binding.TargetMachine:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, features = binding.get_host_cpu_name(), _features().flatten()
    return binding.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3)
