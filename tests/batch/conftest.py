"""Images, and one call that does all of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from batch_finders import FakeFinder, discs, scene

from napari_sam.batch.local import LocalExecutor
from napari_sam.batch.output import require_place
from napari_sam.batch.plan import PlanOptions, find_images, plan_images
from napari_sam.batch.run import BatchResult, run_batch, run_folder
from napari_sam.datasets.table import find_format
from napari_sam.files import part_path
from napari_sam.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    """One plane of 2 x 2 tiles."""
    path = tmp_path / "plane.tif"
    tifffile.imwrite(path, scene())
    return path


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Three planes of 40 x 50: one object through all of them, one missing in the middle, one on the last alone."""
    planes = [
        discs((40, 50), (10, 10, 5), (25, 35, 6)),
        discs((40, 50), (11, 11, 5)),
        discs((40, 50), (12, 12, 5), (25, 35, 6), (33, 8, 3)),
    ]
    path = tmp_path / "stack.tif"
    tifffile.imwrite(
        path,
        np.stack(planes),
        imagej=True,
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "micron"},
        resolution=(4.0, 4.0),
    )
    return path


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Has a file for each picture that a finder was asked about."""
    folder = tmp_path / "asked"
    folder.mkdir()
    return folder


@pytest.fixture
def everything(asked: Path) -> Callable[..., BatchResult]:
    """Do all of a run."""

    def call(output: Path, *inputs: Path, finder: Any = None, executor: Any = None, **options: Any) -> BatchResult:
        kind = find_format(options.pop("format", "labels"))
        force, tracks = options.pop("force", False), options.pop("tracks", False)
        part = part_path(output)
        images = plan_images(find_images(inputs, options.get("axis")), PlanOptions(**options), part)
        require_place(output, images, kind, replacing=force, tracks=tracks)
        chosen = finder or FakeFinder(asked)
        with run_folder(part, anew=force) as folder:
            return run_batch(
                images, chosen, executor or LocalExecutor(), folder, output, kind, no_progress, tracks=tracks
            )

    return call
