"""The models: torch only, no numpy planes, no napari."""
