"""The choices of a session that are those of the last one: read when it begins, written when they change.

What was given explicitly goes before what is remembered, and that before the defaults.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.checkpoints.weights import State, lookup, status
from napari_sam.errors import DeviceError, NapariSamError
from napari_sam.inference.shaping import MaskShaping
from napari_sam.session.preferences.store import PreferenceStore, PreferenceWriter
from napari_sam.session.settings import KEPT_ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from psygnal import EmissionInfo

    from napari_sam.inference.request import EngineFactory, EngineLike
    from napari_sam.progress import Progress
    from napari_sam.session.settings import SessionSettings

_SECTION = "session"


class RememberedSettings:
    """Ties the settings of a session to the preferences.

    Parameters
    ----------
    settings : SessionSettings
        Set to what is remembered, and listened to.
    given : collection of str
        Names of settings that were given explicitly, and are not to be set.
    store : PreferenceStore, optional
        Where they are kept.

    Attributes
    ----------
    notice : str
        What the person should know of what could not be had again; "" for nothing.
    """

    def __init__(
        self, settings: SessionSettings, given: Collection[str] = (), store: PreferenceStore | None = None
    ) -> None:
        self._store = store or PreferenceStore()
        self._writer = PreferenceWriter(self._store)
        self._settings = settings
        self._listening = True
        self._device = ""
        self._lost_device = ""
        self._read = values = self._store.read()
        notices = [self._store.problem]
        with self._unrecorded():
            for name in remembered_names(settings):
                if name not in given and name in values.get(_SECTION, {}):
                    notices.append(self._restore(name, values[_SECTION][name]))
        self.notice = " ".join(filter(None, notices))
        if "device" not in given:
            self._device = settings.device
        settings.events.connect(self._on_settings_changed)

    def section(self, name: str) -> dict[str, Any]:
        """Return what a section of the preferences said when the session began."""
        return self._read.get(name, {})

    def note_key(self, action: str, keys: list[str] | None) -> None:
        """Keep the keys of an action; None for its own."""
        self._writer.note("keys", action, keys)

    def tolerate_lost_device(self, load: EngineFactory) -> EngineFactory:
        """Return what loads an engine as `load` does, and on another device where the remembered one is gone."""

        def load_somewhere(model: str, device: str, progress: Progress, /) -> EngineLike:
            try:
                return load(model, device, progress)
            except DeviceError:
                if device != self._device or device == "auto":
                    raise
                engine = load(model, "auto", progress)
            self._lost_device = device  # one assignment, on the inference thread; `give_up_device` reads it
            return engine

        return load_somewhere

    def give_up_device(self) -> str:
        """Choose another device where the remembered one turned out to be gone; return words for that, or ""."""
        lost, self._lost_device = self._lost_device, ""
        if not lost or self._settings.device != lost:
            return ""
        # Not written: it may be plugged in again tomorrow.
        with self._unrecorded():
            self._settings.device = "auto"
        return f'The device "{lost}" that was used last is not there now. The best of this machine is used.'

    def close(self) -> None:
        """Stop listening, and write what waits."""
        self._settings.events.disconnect(self._on_settings_changed)
        self._writer.close()

    @contextmanager
    def _unrecorded(self) -> Iterator[None]:
        self._listening = False
        try:
            yield
        finally:
            self._listening = True

    def _restore(self, name: str, kept: Any) -> str:
        """Set one value; return words where it cannot be had."""
        if name == "model" and (trouble := _model_trouble(kept)):
            return trouble
        try:
            setattr(self._settings, name, from_plain(kept, getattr(self._settings, name)))
        except (NapariSamError, TypeError, ValueError, LookupError):
            # Of another version, or written by hand: the default stands, and the next choice replaces it.
            return ""
        return ""

    def _on_settings_changed(self, emission: EmissionInfo) -> None:
        name = emission.signal.name
        if self._listening and name not in KEPT_ELSEWHERE:
            self._writer.note(_SECTION, name, to_plain(emission.args[0]))


def remembered_names(settings: SessionSettings) -> list[str]:
    """List the settings that are kept from one session to the next."""
    return [field.name for field in dataclasses.fields(settings) if field.name not in KEPT_ELSEWHERE]


def to_plain(value: Any) -> Any:
    """Write a setting in what JSON has: numbers, texts, lists and mappings."""
    if isinstance(value, MaskShaping):
        # A range of grey values, and labels to leave out, mean something in one image alone.
        return dataclasses.replace(value, grey_range=None, exclusion=None).to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(to_plain(one) for one in value)
    return str(value) if isinstance(value, Path) else value


def from_plain(kept: Any, default: Any) -> Any:
    """Read what `to_plain` wrote, as a value of the kind of `default`.

    Raises
    ------
    TypeError, ValueError
        If it is of another kind.
    """
    if isinstance(default, MaskShaping):
        if not isinstance(kept, dict):
            raise TypeError("not the fields of a MaskShaping")
        return dataclasses.replace(MaskShaping.from_dict(kept), grey_range=None, exclusion=None)
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        known = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
        if not isinstance(kept, dict):
            raise TypeError("not the fields of a dataclass")
        return dataclasses.replace(
            default, **{name: from_plain(one, known[name]) for name, one in kept.items() if name in known}
        )
    if isinstance(default, tuple | set | frozenset) and isinstance(kept, list):
        return type(default)(tuple(one) if isinstance(one, list) else one for one in kept)
    if default is None or kept is None:
        return kept
    if isinstance(default, float) and isinstance(kept, int) and not isinstance(kept, bool):
        return float(kept)
    if type(kept) is not type(default):  # a bool is no number here
        raise TypeError(f"{kept!r} is not a {type(default).__name__}")
    return kept


def _model_trouble(name: Any) -> str:
    """Say why a model cannot be used any more; "" where it can."""
    try:
        if not isinstance(name, str):
            raise TypeError("no name")
        if Path(name).suffix and Path(name).is_file():
            return ""
        if status(lookup(name)) in (State.BUNDLED, State.ON_DISK):
            return ""
    except (NapariSamError, TypeError, ValueError, OSError):
        pass
    return f'The model "{name}" that was used last is not on this machine now. The bundled one is used.'
