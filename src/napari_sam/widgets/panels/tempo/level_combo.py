"""Which candidate of an ambiguous click comes first: in words beside the candidates, with the way back to the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.widgets.controls.narrow import ComboRow, NarrowCombo

if TYPE_CHECKING:
    from napari_sam.session import Session
    from napari_sam.session.state import SessionState

_ROWS = (
    ComboRow("Level: best score", "best", "The candidate that the model trusts most comes first."),
    ComboRow("Level: whole", "whole", "The largest of the candidates comes first."),
    ComboRow("Level: part", "part", "The candidate of the middle size comes first."),
    ComboRow("Level: subpart", "subpart", "The smallest of the candidates comes first."),
)


class LevelCombo(NarrowCombo):
    """Shows the level, and chooses it.

    Parameters
    ----------
    session : Session
        Whose level it is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.set_help("Which mask of a single click comes first. Accept another one, and its level is remembered.")
        self.setAccessibleName("Level of the candidates")
        self.show_rows(_ROWS, session.level)
        self.activated.connect(self._on_activated)

    def draw(self, state: SessionState) -> None:
        """Show the level that is remembered."""
        self.show_rows(_ROWS, state.level)

    def _on_activated(self, index: int) -> None:
        self._session.level = self.row(index).data  # type: ignore[assignment]  # rows of the table above
