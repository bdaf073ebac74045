"""The abandoned plugin of 2023 that installs an import package of our name.

The distribution ``napari-sam`` on PyPI and ours, ``napari-sam-live``, both install a folder ``napari_sam``: pip lays
one over the other, and what is left is neither.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from napari_sam.errors import ConflictError

OLD_DISTRIBUTION = "napari-sam"


def conflict() -> str | None:
    """Say what is wrong and what to do if the old plugin is installed beside this one; None if it is not."""
    try:
        old = distribution(OLD_DISTRIBUTION)
    except PackageNotFoundError:
        return None
    return (
        f"The abandoned plugin napari-sam {old.version} is installed beside napari-sam-live; both install the package "
        "napari_sam, and overwrite each other's files. Run `pip uninstall napari-sam`, then "
        "`pip install --force-reinstall --no-deps napari-sam-live`."
    )


def refuse_conflict() -> None:
    """Raise if the old plugin is installed beside this one.

    Raises
    ------
    ConflictError
        With the commands that set it right.
    """
    if message := conflict():
        raise ConflictError(message)
