"""Names, order and units of the axes of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

# What a spacing that nobody stated is measured in.
PIXEL = "pixel"

_MICROMETERS = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25400.0,
}
_SPELLINGS = {
    "angstrom": ("å", "ångström", "ångstrom"),
    "nanometer": ("nm", "nanometre", "nanometers"),
    # Two letters look alike here: the micro sign and the Greek mu.
    "micrometer": (
        "\N{MICRO SIGN}m",
        "\N{GREEK SMALL LETTER MU}m",
        "um",
        "micron",
        "microns",
        "micrometre",
        "\\u00b5m",
    ),
    "millimeter": ("mm", "millimetre", "millimeters"),
    "centimeter": ("cm", "centimetre"),
    "meter": ("m", "metre"),
    "inch": ("in", "inches"),
    "microsecond": ("\N{MICRO SIGN}s", "us", "usec"),
    "millisecond": ("ms", "msec"),
    "second": ("s", "sec", "seconds"),
    "minute": ("min", "minutes"),
    "hour": ("h", "hr", "hours"),
}
_NAMES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in (name, *spellings)}

# Names for axes that a file does not name, the fastest first.
_UNNAMED = "ztc"
_KNOWN = frozenset("tczyxs")
# napari takes a last axis of 3 or 4 for colour only beside sides longer than this.
_COLOUR_SIDE = 30


def unit_name(text: str | None) -> str:
    """Return a unit's full name, "micrometer" for "um"; "pixel" for what is no length and no time."""
    return _NAMES.get((text or "").strip().lower(), PIXEL)


def is_length(unit: str) -> bool:
    """Tell whether a unit is one of length."""
    return unit in _MICROMETERS


def convert(spacing: float, unit: str, to: str) -> float:
    """Express a length in another unit of length."""
    # Exact where nothing is converted; also for times and pixels, which are in no table.
    return spacing if unit == to else spacing * _MICROMETERS[unit] / _MICROMETERS[to]


def guess_axes(shape: Sequence[int]) -> str:
    """Name the axes of an array that comes without names.

    Parameters
    ----------
    shape : sequence of int

    Returns
    -------
    str
        The last of "tczyx", with a trailing "s" where napari would take the last axis for colour.

    Raises
    ------
    InputError
        If there are fewer than two or more than five axes.
    """
    colour = len(shape) > 2 and shape[-1] in (3, 4) and all(size > _COLOUR_SIDE for size in shape[-3:-1])
    count = len(shape) - colour
    if not 2 <= count <= len("tczyx"):
        raise InputError(
            f"The array is of shape {tuple(shape)}; an image has two to five axes, time, channel, z, y and x. "
            "Save the part that you want."
        )
    leading = {0: "", 1: "z", 2: "tz", 3: "tcz"}[count - 2]
    return leading + "yx" + "s" * colour


def name_axes(letters: Sequence[str], shape: Sequence[int]) -> tuple[str, tuple[str, ...]]:
    """Give the axes of a file the names that stacks use.

    Parameters
    ----------
    letters : sequence of str
        A name per axis as the file has it; the case does not count.
    shape : sequence of int

    Returns
    -------
    names : str
        One of "tczyxs" per axis, each once; axes of length 1 that have no name are "-".
    notes : tuple of str
        What had to be guessed, in words.

    Raises
    ------
    InputError
        If there is no y or x, or more axes than names.
    """
    given = [letter.lower() for letter in letters]
    if "y" not in given or "x" not in given:
        raise InputError(f"The axes are {''.join(letters)!r} (shape {tuple(shape)}): none is y, or none is x.")
    # An axis of one place needs no name, whatever the file calls it.
    names = ["-" if size == 1 and name not in "yx" else name for name, size in zip(given, shape, strict=True)]
    unknown = [axis for axis, name in enumerate(names) if name != "-" and (name not in _KNOWN or names.count(name) > 1)]
    free = [name for name in _UNNAMED if name not in names]
    notes = []
    if len(unknown) > len(free):
        raise InputError(
            f"The axes are {''.join(letters)!r} (shape {tuple(shape)}), more than t, c, z, y and x can name. "
            "Save the part that you want."
        )
    # The last axis of a file is its fastest one, as the first of the free names is.
    for axis, name in zip(reversed(unknown), free, strict=False):
        notes.append(f"The file does not name axis {axis} of length {shape[axis]}; it is taken for {name}.")
        names[axis] = name
    return "".join(names), tuple(notes)


def arrangement(names: str, shape: Sequence[int]) -> tuple[list[int], str, bool]:
    """Find the order in which a stack has the axes of a file: the leading ones as they are, y, x, colour.

    Parameters
    ----------
    names : str
        A name of "tczyxs-" per axis.
    shape : sequence of int

    Returns
    -------
    order : list of int
        Axes of the file; those of length 1, y and x aside, are left out.
    axes : str
        Names in that order, without colour.
    rgb : bool
        Whether a colour axis comes last.
    """
    sizes = dict(zip(names, shape, strict=True))
    rgb = sizes.get("s") in (3, 4)
    # Grey with alpha, or spectra: channels.
    known = names if rgb or "c" in names else names.replace("s", "c")
    if "s" in known and not rgb and sizes["s"] != 1:
        raise InputError(f"The image has channels and {sizes['s']} samples per pixel; save one channel.")
    first = [n for n, size in zip(known, shape, strict=True) if n not in "yxs-" and size != 1]
    axes = "".join(first) + "yx"
    return [known.index(name) for name in axes + "s" * rgb], axes, rgb


def common_length(spacing: Sequence[float], units: Sequence[str]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Express all lengths in the unit of the last axis that has one, so that their ratios count."""
    lengths = [unit for unit in units if is_length(unit)]
    if not lengths:
        return tuple(spacing), tuple(units)
    to = lengths[-1]
    pairs: list[tuple[float, Any]] = [
        (convert(step, unit, to), to) if is_length(unit) else (step, unit)
        for step, unit in zip(spacing, units, strict=True)
    ]
    return tuple(step for step, _ in pairs), tuple(unit for _, unit in pairs)
