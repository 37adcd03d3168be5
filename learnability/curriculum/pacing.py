"""Step to pool: how many samples of the order are in play at step t of T."""

import dataclasses
import math

import numpy as np

from learnability.errors import InputError

WU = ("log", "root", "linear", "quadratic", "exp", "step")
NAMES = (*WU, "full", "fixed_exponential", "competence")
C = 10.0  # steepness of `log` and `exp`
SLACK = 1e-9  # what rounding of floats may take from a whole number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pacing:
    """How fast samples come into play. Only the fields of its own function count.

    name  log, root, linear, quadratic, exp, step (Wu et al., arXiv 2012.03107), `full` (all samples at every step),
          fixed_exponential (Hacohen and Weinshall, github GuyHacohen/curriculum_learning), competence (Platanios et al. 2019,
          the formula as commonly given)
    """

    name: str = "linear"
    a: float = 0.8  # Wu: share of the steps after which all samples are in play
    b: float = 0.2  # Wu: share of the samples in play at the start
    f: float = 0.04  # fixed_exponential: share of the samples at the start
    q: float = 1.9  # fixed_exponential: growth
    m: int = 100  # fixed_exponential: steps between two growths
    c0: float = 0.01  # competence: share of the samples at the start
    p: float = 2.0  # competence: the exponent is 1/p

    def __post_init__(self):
        _expect(self.name in NAMES, "name", self.name, f"one of {', '.join(NAMES)}")
        _expect(isinstance(self.m, int | np.integer), "m", self.m, "a whole number of steps of at least 1, for example 100")
        for field in dataclasses.fields(self)[1:]:  # 1 and 1.0 are the same pacing, and are written alike
            value = getattr(self, field.name)
            _expect(isinstance(value, int | float | np.number), field.name, value, "a number")
            object.__setattr__(self, field.name, int(value) if field.name == "m" else float(value))
        _expect(math.isfinite(self.a) and self.a >= 0, "a", self.a, "a share of the steps of at least 0, for example 0.8")
        _expect(0 <= self.b <= 1, "b", self.b, "a share of the samples from 0 to 1, for example 0.2")
        _expect(0 < self.f <= 1, "f", self.f, "a share of the samples above 0 and at most 1, for example 0.04")
        _expect(1 <= self.q < math.inf, "q", self.q, "a growth of at least 1, for example 1.9")
        _expect(self.m >= 1, "m", self.m, "a whole number of steps of at least 1, for example 100")
        _expect(0 < self.c0 <= 1, "c0", self.c0, "a share of the samples above 0 and at most 1, for example 0.01")
        _expect(0 < self.p < math.inf, "p", self.p, "a number above 0, for example 2")

    @property
    def parameters(self) -> dict:
        """The fields that count for this function, by name."""
        fields = {"full": (), "fixed_exponential": ("f", "q", "m"), "competence": ("c0", "p")}.get(self.name, ("a", "b"))
        return {field: getattr(self, field) for field in fields}

    @property
    def depends_on_steps(self) -> bool:
        """Whether the pool at step t changes with T."""
        return self.name not in ("full", "fixed_exponential")

    def __str__(self) -> str:
        """`linear,a=0.8,b=0.2`: what `parse_pacing` reads."""
        return ",".join([self.name, *(f"{field}={value!r}" for field, value in self.parameters.items())])


def parse_pacing(text: str) -> Pacing:
    """The pacing written as `linear,a=0.8,b=0.2`; what is not named keeps its default."""
    name, *settings = text.split(",")
    fields = {}
    for setting in settings:
        field, _, value = setting.partition("=")
        known = Pacing(name=name).parameters
        try:
            if field in fields:
                raise ValueError("given twice")
            fields[field] = type(known[field])(value)
        except (KeyError, ValueError) as problem:
            expected = " with " + ", ".join(f"{field}={value}" for field, value in known.items()) if known else " alone"
            raise InputError(f"pacing {text!r}: expected {name}{expected}, each once, got {setting!r}. Write it so.") from problem
    return Pacing(name=name, **fields)


def pool_size(pacing: Pacing, t: int | np.ndarray, N: int, T: int) -> np.ndarray:
    """Samples in play at step t of T: whole numbers in 1..N that never fall in t; t and the result have one shape.

    Clipped for all alike; N from a T on. Before a T the Wu functions round down, the two others round up.
    """
    if N < 1 or T < 1:
        raise InputError(f"N {N}, T {T}: expected at least one sample and one step.")
    t = np.asarray(t, np.float64)
    if pacing.name == "full":
        share = np.ones_like(t)
    elif pacing.name == "fixed_exponential":
        share = _fixed_exponential(pacing, t)
    elif pacing.name == "competence":
        share = competence(pacing, t, T)
    else:
        full = (t >= pacing.a * T - SLACK) | (pacing.b == 1)
        s = np.divide(t, pacing.a * T, out=np.zeros_like(t), where=~full)
        share = np.where(full, 1.0, pacing.b + (1 - pacing.b) * _wu(pacing.name, s))
        return np.clip(np.floor(N * share + SLACK), 1, N).astype(np.int64)
    return np.clip(np.ceil(N * share - SLACK), 1, N).astype(np.int64)


def competence(pacing: Pacing, t: np.ndarray, T: int) -> np.ndarray:
    """Share of the samples in play at step t of T, c0..1: min(1, ((t/T)(1 - c0^p) + c0^p)^(1/p))."""
    start = pacing.c0**pacing.p
    return np.minimum(1, (np.asarray(t, np.float64) / T * (1 - start) + start) ** (1 / pacing.p))


def _fixed_exponential(pacing: Pacing, t: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.minimum(1, pacing.f * pacing.q ** np.floor(t / pacing.m))


def _wu(name: str, s: np.ndarray) -> np.ndarray:
    """Share of what is not in play at the start, over s = t / (a T) in 0..1; natural logarithms."""
    if name == "log":
        return 1 + np.log(s + math.exp(-C)) / C
    if name == "exp":
        return np.expm1(C * s) / math.expm1(C)
    return {"root": s**0.5, "linear": s, "quadratic": s**2, "step": np.zeros_like(s)}[name]


def _expect(good, what: str, got, expected: str) -> None:
    if not good:
        raise InputError(f"pacing {what} {got!r}: expected {expected}.")
