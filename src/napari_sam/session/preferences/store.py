"""The file of the person's preferences: sections of names and values, in JSON.

Sessions of several windows and programs share it. Each writes only what it changed, so that the others' changes stay,
and so do names that another version of this package knows.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from napari_sam.files import home, read_small, write_whole
from napari_sam.inference.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

_FILE = "preferences.json"
_MOST = 1 << 20
_LOCK_S = 5.0
_REST_S = 0.5
"""Seconds that preferences must rest before they are written: a slider sends many values."""


class PreferenceStore:
    """The preferences on disk.

    Parameters
    ----------
    path : Path, optional
        The file; by default in the home folder of this plugin.

    Attributes
    ----------
    problem : str
        What the person should know of the last reading; "" when all went well.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / _FILE
        self.problem = ""

    def read(self) -> dict[str, dict[str, Any]]:
        """Return all sections; what cannot be understood is set aside, and counts as nothing."""
        self.problem = ""
        try:
            found = json.loads(read_small(self.path, _MOST))
            if not isinstance(found, dict):
                raise ValueError("it holds no sections")
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.problem = f"Your preferences in {self.path} cannot be read: {error.strerror or error}."
            return {}
        except (ValueError, RecursionError):  # no text, no JSON, or too much of it
            self._set_aside()
            return {}
        return {name: section for name, section in found.items() if isinstance(section, dict)}

    def update(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Write some values, and leave all else as it is; None takes a name out.

        Parameters
        ----------
        changes : mapping
            Names and values by section.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{self.path}.lock", timeout=_LOCK_S):
                sections = self.read()
                for name, values in changes.items():
                    kept = {**sections.get(name, {}), **values}
                    sections[name] = {key: value for key, value in kept.items() if value is not None}
                write_whole(self.path, json.dumps(sections, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        except Timeout as error:
            raise OSError(f"{self.path} is being written by another program") from error

    def _set_aside(self) -> None:
        number = 1
        while (aside := self.path.with_name(f"{self.path.stem}.damaged-{number}.json")).exists():
            number += 1
        try:
            self.path.rename(aside)
            self.problem = f"Your preferences were damaged, and are the defaults now. The old file is {aside}."
        except OSError as error:
            self.problem = f"Your preferences in {self.path} are damaged: {error.strerror or error}."


class PreferenceWriter:
    """Writes preferences on a thread of its own, when they have rested for a moment.

    Parameters
    ----------
    store : PreferenceStore
        Where to.
    """

    def __init__(self, store: PreferenceStore) -> None:
        self._store = store
        self._worker = Worker()
        self._noting, self._writing = threading.Lock(), threading.Lock()
        self._changes: dict[str, dict[str, Any]] = {}

    def note(self, section: str, name: str, value: Any) -> None:
        """Write a value soon; None takes the name out of the file."""
        with self._noting:
            self._changes.setdefault(section, {})[name] = value
        self._worker.deliver()  # the answers of earlier writes, which nobody waits for
        self._worker.submit("preferences", lambda _progress: self.flush(), delay=_REST_S)

    def flush(self) -> None:
        """Write now what waits."""
        # Held while the file is written: who closes must not go before that.
        with self._writing:
            with self._noting:
                changes, self._changes = self._changes, {}
            if not changes:
                return
            try:
                self._store.update(changes)
            except OSError as error:
                _log.warning("Preferences cannot be kept in %s: %s", self._store.path, error)

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._worker.close()
        self.flush()
