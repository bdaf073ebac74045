"""What became of single objects, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClickCurve:
    """What became of one object, click by click.

    Attributes
    ----------
    measured : tuple of float
        IoU of the mask shown after 1, 2, ... clicks.
    predicted : tuple of float
        What the model estimated it to be.
    best : float
        IoU of the best of the candidates for the first click, whichever the model put first.
    """

    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    best: float


@dataclass(frozen=True, slots=True)
class ObjectScore:
    """What became of one object.

    Attributes
    ----------
    image, kind : str
        Where it is, and the type of that image.
    label : int
        Its label there.
    area : int
        Its pixels.
    clicks : tuple of float
        IoU after 1, 2, ... clicks; empty for a model that takes no points.
    predicted : tuple of float
        The model's own estimate of each of `clicks`.
    best : float or None
        IoU of the best candidate for the first click; None without clicks.
    box : float or None
        IoU with a tight box and nothing else; None for a model that takes no boxes.
    box_predicted : float or None
        The model's own estimate of `box`.
    """

    image: str
    kind: str
    label: int
    area: int
    clicks: tuple[float, ...]
    predicted: tuple[float, ...] = ()
    best: float | None = None
    box: float | None = None
    box_predicted: float | None = None
