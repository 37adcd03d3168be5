"""prepare: a source becomes a data set version in the cache; every image decoded once, what cannot be used listed with its reason.

formats   what a file is: allow-list, checksums, header; the reason where it is no image
images    bytes -> pixels: which conversions, how they become square (docs/images.md)
worker    the child process that decodes, under limits
pool      many workers, answers in order; a file that kills its worker becomes a reject
choice    which rows, which split, which size: decided before and checked after decoding
staging   pixels and thumbnails on their way into a version
tables    samples, labels, rejects; the moment in which a version appears
report    what is to be said about it
version   prepare() itself
"""

import importlib

_WHERE = {"prepare": "learnability.prepare.version", "Prepared": "learnability.prepare.report"}
__all__ = list(_WHERE)


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'learnability.prepare' has no attribute {name!r}; it has {', '.join(__all__)}")
