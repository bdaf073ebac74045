"""What a person's labels give to learn from: read, grouped by image, some of it held back to measure on.

`read_material` takes planes out of files, folders, the journal and layers; `split_material` holds whole images back;
`save_material` keeps the copy that a run works on.
"""

from napari_sam.training.material.reading import read_material
from napari_sam.training.material.sources import (
    JournalObjects,
    LabelledFile,
    LabelledFolder,
    LayerArrays,
    MaterialSource,
)
from napari_sam.training.material.splitting import MaterialSplit, split_material
from napari_sam.training.material.storing import load_material, save_material
from napari_sam.training.material.taught import TaughtPlane

__all__ = [
    "JournalObjects",
    "LabelledFile",
    "LabelledFolder",
    "LayerArrays",
    "MaterialSource",
    "MaterialSplit",
    "TaughtPlane",
    "load_material",
    "read_material",
    "save_material",
    "split_material",
]
