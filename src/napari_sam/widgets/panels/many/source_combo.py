"""What objects are made of: the image alone, what is drawn, or a layer of the person's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels, Points

from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_sam.session import Session

_IMAGE = ComboRow("The image alone", "image", "Every object that the model finds, without a prompt.")
_DRAWN = ComboRow("What is drawn", "drawn", "Each positive point and each box on this plane is an object.")


class SourceCombo(NarrowCombo):
    """Chooses what objects are made of.

    Parameters
    ----------
    session : Session
        Whose layers are offered.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(read=self.read_layers)
        self._session = session
        self.set_help("What says where objects are.")
        self.setAccessibleName("Source of objects")
        self.show_rows((_IMAGE, _DRAWN), "image")

    @property
    def is_image(self) -> bool:
        """Whether the model looks for objects by itself."""
        return self._data == "image"

    @property
    def layer(self) -> Layer | None:
        """The layer that is chosen; None where it is none."""
        return None if isinstance(self._data, str) else self._data

    @property
    def verb(self) -> str:
        """What the button does with it."""
        if self.is_image:
            return "Find objects"
        return "Refine all" if isinstance(self.layer, Labels) else "Make all"

    def read_layers(self) -> None:
        """Offer the layers that there are now."""
        chosen = self._data
        rows = (_IMAGE, _DRAWN, *(_row(layer) for layer in self._session.everything.layers()))
        self.show_rows(rows, chosen if any(row.data is chosen or row.data == chosen for row in rows) else "image")

    @property
    def _data(self) -> object:
        return self.row(self.currentIndex()).data


def _row(layer: Layer) -> ComboRow:
    if isinstance(layer, Labels):
        return ComboRow(f"Labels: {layer.name}", layer, "Each object of this plane is made exact, and keeps its id.")
    if isinstance(layer, Points):
        return ComboRow(f"Points: {layer.name}", layer, "Each point of this plane is an object.")
    return ComboRow(f"Boxes: {layer.name}", layer, "Each shape of this plane is an object, by the box around it.")
