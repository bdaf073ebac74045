"""What many objects are made of at once: points and boxes, or the ids of a labels layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_sam.automatic.prompted.objects import objects_of_labels, objects_of_prompts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.automatic.prompted.objects import PromptedObject
    from napari_sam.prompts import BoxPrompt, PointPrompt


@dataclass(frozen=True, slots=True, eq=False)
class PromptSource:
    """What a person says about many objects of a plane.

    Attributes
    ----------
    points : tuple of PointPrompt
        Data pixels of the plane. Each positive one is an object.
    boxes : tuple of BoxPrompt
        Each is an object.
    labels : numpy.ndarray, shape (h, w), int, or None
        Ids of rough objects in the part of the plane that is looked at, 0 for none; a copy. Each id is an object, which
        keeps it.
    target : str
        What names the layer that the labels are of, and that exact objects go back into; "" where they get new ids.
    drawn : bool
        Whether the prompts are those that are drawn for the session: once their objects are accepted, they go.
    """

    points: tuple[PointPrompt, ...] = field(default=())
    boxes: tuple[BoxPrompt, ...] = field(default=())
    labels: NDArray[np.integer[Any]] | None = None
    target: str = ""
    drawn: bool = False

    @property
    def replaces(self) -> bool:
        """Whether exact objects take the place of those that they are made of."""
        return self.labels is not None

    @property
    def count(self) -> int:
        """How many objects the points and boxes stand for; 0 with labels, whose ids take a while to count."""
        return sum(point.positive for point in self.points) + len(self.boxes)

    def objects(self, start: tuple[int, int], plane: tuple[int, int]) -> tuple[PromptedObject, ...]:
        """List the objects; takes a while where there are many.

        Parameters
        ----------
        start : (int, int)
            Upper left data pixel of the part of the plane that is looked at.
        plane : (int, int)
            Height and width of the plane.
        """
        if self.labels is None:
            return objects_of_prompts(self.points, self.boxes)[0]
        stop = start[0] + self.labels.shape[0], start[1] + self.labels.shape[1]
        found = objects_of_labels(self.labels, start, plane)
        # Half an object says nothing about the whole, and is not to be replaced by half of one.
        return tuple(one for one in found if one.rough is not None and not one.rough.cut_by(start, stop))
