"""Errors that a person reads.

Every message says what is wrong and what to do about it, in one or two sentences, because the dock and the command
line show it as it stands.
"""

from __future__ import annotations


class NapariSamError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(NapariSamError, ValueError):
    """An image, a prompt or an option cannot be used as given."""


class WeightsError(NapariSamError, RuntimeError):
    """A checkpoint is missing, damaged, of an unknown layout, or could not be downloaded."""


class DeviceError(NapariSamError, RuntimeError):
    """A compute device is not there or cannot do the work."""


class CacheError(NapariSamError, RuntimeError):
    """The folder of embeddings on disk cannot be used."""


class ConflictError(NapariSamError, ImportError):
    """Another distribution has overwritten, or will overwrite, files of this package."""


class Cancelled(NapariSamError):
    """Raised inside long work, by its progress callback, when the person cancelled it."""
