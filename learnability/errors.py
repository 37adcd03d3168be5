"""The exceptions of the engine, drawn as a tree. Each message says what was expected, what was got, and what to do.

LearnabilityError
├── InputError (ValueError)        something the user gave: a name, a path, a flag, a file
│   ├── ConfigError                a run cannot be described like this
│   └── SourceError                a source cannot be read as a data set
├── NotFound (LookupError)         no such data set, run, label version, sample
├── StoreError                     the cache folder
│   ├── DamagedFile                a file is there and is not what it should be
│   ├── NewerFormat                written by a newer version
│   ├── DiskFull                   no space, or a quota
│   └── Locked                     another process holds the run or the device
└── TrainingError                  a run ended for a reason of its own
    ├── NonFinite                  NaN or infinity in the logits or the loss
    ├── OutOfMemory                the device's memory
    ├── NotReproduced              a resumed run did not repeat what it had recorded
    └── PeerLost                   another process of a run over several devices has ended
"""


class LearnabilityError(Exception):
    """Everything this package raises on purpose."""


class InputError(LearnabilityError, ValueError):
    """Something the user gave cannot be used."""


class ConfigError(InputError):
    """A run cannot be described like this."""


class SourceError(InputError):
    """A source cannot be read as a data set."""


class NotFound(LearnabilityError, LookupError):
    """The named data set, run, label version or sample is not in the cache."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StoreError(LearnabilityError):
    """The cache folder cannot be read or written."""


class DamagedFile(StoreError):
    """A file is there and is not what it should be; the message names it."""


class NewerFormat(StoreError):
    """A file was written by a newer version; the message names both versions."""


class DiskFull(StoreError):
    """The file system has no space left; the message names the folder and what is missing."""


class Locked(StoreError):
    """Another process holds the run or the device; the message names it."""


class TrainingError(LearnabilityError):
    """A run ended for a reason of its own."""


class NonFinite(TrainingError):
    """NaN or infinity in the logits; the message names epoch and first sample ids."""


class OutOfMemory(TrainingError):
    """The device has not enough memory; the message names the batch size and a proposal."""


class NotReproduced(TrainingError):
    """A resumed run did not repeat, byte for byte, what it had recorded before."""


class PeerLost(TrainingError):
    """Another process of a run over several devices has ended; the message says why, where it left word."""
