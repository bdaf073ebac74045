"""What formats that know nothing of images are told of them beside the objects: name, size and number of planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from napari_sam.datasets.documents import image_shape, record, text, whole
from napari_sam.datasets.records import LARGEST_NUMBER, AnnotatedImage
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_sam.datasets.records import MaskObject


@dataclass(frozen=True, slots=True)
class StackRecord:
    """An image, or a stack of planes.

    Attributes
    ----------
    name : str
        See `AnnotatedImage`.
    shape : (int, int)
        Height and width, data pixels.
    planes : int
    """

    name: str
    shape: tuple[int, int]
    planes: int = 1

    @classmethod
    def of(cls, images: Sequence[AnnotatedImage]) -> Self:
        """Describe planes of one stack.

        Raises
        ------
        InputError
            If there are none, or their names or shapes differ.
        """
        kinds = {(image.name, image.shape) for image in images}
        if len(kinds) != 1:
            raise InputError(f"One file holds one image, or the planes of one stack; got {len(kinds)} images.")
        name, (height, width) = kinds.pop()
        # Of Python's kind, which JSON needs.
        return cls(name, (int(height), int(width)), 1 + max(int(image.plane) for image in images))

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        InputError
            If it is damaged.
        """
        about = record(value, "image")
        planes = whole(about.get("planes", 1), "planes", 1, LARGEST_NUMBER)
        return cls(text(about.get("name"), "name"), image_shape(about), planes)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; one plane is not worth a word."""
        about: dict[str, Any] = {"name": self.name, "width": self.shape[1], "height": self.shape[0]}
        return about | ({"planes": self.planes} if self.planes > 1 else {})

    def images(self, objects: Mapping[int, list[MaskObject]], notes: tuple[str, ...]) -> list[AnnotatedImage]:
        """Return the planes that have objects, given by plane, and the last one, which tells how many there are."""
        planes = {at for at, found in objects.items() if found}
        if self.planes > 1 or not planes:
            planes.add(self.planes - 1)
        return [AnnotatedImage(self.name, self.shape, tuple(objects.get(at, ())), at, notes) for at in sorted(planes)]
