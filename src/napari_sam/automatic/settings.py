"""How objects are found in dense maps."""

from __future__ import annotations

from dataclasses import dataclass, fields

from napari_sam.errors import InputError


@dataclass(frozen=True, slots=True)
class DenseSettings:
    """What counts as an object. The defaults were chosen on training images of BBBC038.

    Attributes
    ----------
    views : int
        How many mirror images of the plane are averaged, 1 to 4.
    foreground : float
        Probability above which a pixel may belong to an object.
    prominence : float
        How far a seed must stand out from the saddle to its neighbour, 0 to 1. Less splits more; parts of one object
        are joined again by `refine`.
    certainty : float
        Least mean foreground probability of an object.
    least_area : int
        Data pixels of the smallest object.
    refine : bool
        Whether the decoder draws each object from one point in it. Without, objects are as the watershed leaves them:
        a few times quicker, and less exact.
    least_score : float
        Least IoU that the decoder predicts for its own mask.
    most_common : float
        Of two masks the better one stays alone where they have more than this share of the smaller one in common.
    """

    views: int = 4
    foreground: float = 0.6
    prominence: float = 0.15
    certainty: float = 0.8
    least_area: int = 15
    refine: bool = True
    least_score: float = 0.6
    most_common: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # Types are texts here, because annotations are not evaluated.
            if field.type == "float" and not 0 <= value <= 1:
                raise InputError(f"{field.name} is a number from 0 to 1; got {value!r}.")
        if not 1 <= self.views <= 4:
            raise InputError(f"views is 1, 2, 3 or 4; got {self.views!r}.")
        if self.least_area < 1:
            raise InputError(f"least_area is a number of pixels, 1 or more; got {self.least_area!r}.")


QUICK = DenseSettings(views=1, certainty=0.85, refine=False)
"""One view, without the decoder: a small part of the time, and less exact."""
