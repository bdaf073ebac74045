"""Words for teaching."""

from __future__ import annotations

GATHERING = "Reading what is labelled"
STARTING = "Starting"
STOPPING = "Stopping: what was learnt is being saved"
NO_IMAGE = "Open an image, and label some objects to teach from."
NO_LABELS = "Label some objects first: with clicks, or in any labels layer that fits the image."
COUNTING = "Counting objects…"


def material(objects: int, planes: int, name: str, others: int) -> str:
    """Say what a model would learn from."""
    words = f"{_counted(objects, 'object')} on {_counted(planes, 'plane')} of {name}" if objects else ""
    if others:
        words += f"{', and ' if words else ''}{_counted(others, 'other labelled image' if words else 'labelled image')}"
        words += " of the series"
    return f"{words}." if words else NO_LABELS


def learning(words: str) -> str:
    """Say what the program says; of its steps, which one it is and how long it has learnt, without the loss."""
    return f"Learning: {words.rpartition(', ')[0]}" if words.startswith("step ") else words


def stopped(name: str, *, resumable: bool) -> str:
    """Say that a run was stopped, and what is left of it."""
    if resumable:
        return f"Stopped. What {name} has learnt so far is kept: Go on takes it up again."
    return "Stopped before anything was learnt. Your model is unchanged."


def done(verdict: str, name: str, *, kept: bool) -> str:
    """Say what came of a run."""
    return f"{verdict} {f'Kept as {name}.' if kept else 'Not kept: your model is as it was.'}"


def ended(code: int, last: str, folder: str, *, resumable: bool) -> str:
    """Say that the process ended without an answer.

    Parameters
    ----------
    code : int
        As `subprocess.Popen.returncode`.
    last : str
        The last line of its log; "" for none.
    folder : str
        Where the log is.
    resumable : bool
        Whether it can go on.
    """
    what = f"Teaching was ended from outside (signal {-code})" if code < 0 else f"Teaching broke off (code {code})"
    said = f": {last}" if last and code >= 0 else ", perhaps for want of memory"
    then = "Go on takes it up again" if resumable else "Your model is unchanged; teach it again"
    return f"{what}{said}. {then}. The log is {folder}."


def cut(name: str) -> str:
    """Say that an earlier run did not come to its end."""
    return f"The teaching of {name} was cut. Go on to finish it."


def taken(name: str) -> str:
    """Say that a name is another model's."""
    return f"There is a model {name} already. Choose another name."


def no_name(name: str) -> str:
    """Say that a model cannot have a name."""
    if not name:
        return "Give the taught model a name."
    return f"{name!r} cannot be a model's name: use up to 64 letters, digits, dots, dashes and underscores."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
