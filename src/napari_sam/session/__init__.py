"""A person's work on one image: napari layers in, masks out. No Qt here."""

from napari_sam.session.session import Session, SessionEvents

__all__ = ["Session", "SessionEvents"]
