"""A person's work on one image: napari layers in, masks out. No Qt here."""
