"""What a session has labelled, as training takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.teaching import messages
from napari_sam.training.material import LabelledFile, LayerArrays
from napari_sam.training.material.labelled_stack import find_planes, require_axes
from napari_sam.training.material.taught import object_boxes

if TYPE_CHECKING:
    from napari_sam.progress import Progress
    from napari_sam.session import Session


@dataclass(frozen=True, slots=True, eq=False)
class SessionLabels:
    """What there is to learn from.

    Attributes
    ----------
    layers : LayerArrays or None
        The image that is worked on, and its target; None where there is no target.
    files : tuple of LabelledFile
        The other images of a series that were begun. Whether their labels are there yet is not looked at here: this is
        made on the window's thread.
    """

    layers: LayerArrays | None
    files: tuple[LabelledFile, ...]

    @classmethod
    def of(cls, session: Session) -> SessionLabels:
        """Take what is labelled now.

        Raises
        ------
        InputError
            If there is nothing.
        """
        image, target, plane = session.image, session.target, session.plane
        layers = None
        if image is not None and target is not None:
            low, high = image.contrast_limits
            # Channels that are seen together are learnt from as they are seen: blended, in their colours.
            blend = session.channels.blended(image)
            plain = blend is None and not image.rgb
            layers = LayerArrays(
                name=image.name,
                image=blend if blend is not None else image.data[0] if image.multiscale else image.data,
                labels=target.data[0] if target.multiscale else target.data,
                axes=None if plane is None else plane.axes,
                contrast_limits=(float(low), float(high)) if plain else None,
                gamma=float(image.gamma) if plain else 1.0,
                spacing=(1.0, 1.0) if plane is None else plane.spacing,
                axis_names=session.axis_names,
            )
        shown = "" if layers is None else layers.name
        files = tuple(
            LabelledFile(one.path, one.labels, complete=one.status == "done")
            for one in session.series.images
            if one.status in ("started", "done") and one.name != shown
        )
        if layers is None and not files:
            raise InputError(messages.NO_IMAGE if image is None else messages.NO_LABELS)
        return cls(layers, files)

    def sources(self) -> list[LayerArrays | LabelledFile]:
        """Give what `read_material` takes: of the files, those that have labels; reads the disk."""
        layers = [] if self.layers is None else [self.layers]
        return [*layers, *(file for file in self.files if file.labels is not None and file.labels.exists())]


@dataclass(frozen=True, slots=True)
class MaterialCount:
    """How much there is to learn from.

    Attributes
    ----------
    words : str
        For a person.
    any : bool
        Whether there is anything.
    """

    words: str
    any: bool


def count_material(labels: SessionLabels, progress: Progress) -> MaterialCount:
    """Count objects and planes, one plane after the other; an object on several planes counts once.

    Raises
    ------
    InputError
        If the labels are none.
    """
    objects: set[int] = set()
    planes, name = 0, ""
    if (layers := labels.layers) is not None:
        name = layers.name
        axes = require_axes(layers.axes or (-2, -1), len(layers.labels.shape), name)
        for _index, plane in find_planes(layers.labels, axes, name, progress):
            objects.update(object_boxes(plane)[0].tolist())
            planes += 1
    others = len(labels.sources()) - (labels.layers is not None)
    return MaterialCount(messages.material(len(objects), planes, name, others), bool(objects or others))
