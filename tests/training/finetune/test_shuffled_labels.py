"""Labels that have nothing to do with the images: whatever is learnt of them is not kept, and nothing is changed."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from napari_sam import samples
from napari_sam.checkpoints import weights
from napari_sam.checkpoints.adapters.file import AdapterOrigin
from napari_sam.checkpoints.checksums import file_digests
from napari_sam.training.finetune import learning
from napari_sam.training.finetune.learning import FinetuneConfig
from napari_sam.training.finetune.leavings import ADAPTER_FILE
from napari_sam.training.finetune.run import finetune
from napari_sam.training.material import TaughtPlane, split_material
from napari_sam.training.networks.base import read_base

MOVES = ((31, 47), (-43, 29), (57, -37), (-29, -53))


def misplaced():
    """Quarters of a sample image, the labels of each moved by another distance."""
    (data, _options, _kind), *_ = samples.fluorescence()
    labels = samples.labels_of("fluorescence")
    planes = []
    for move, (y, x) in zip(MOVES, ((0, 0), (0, 348), (260, 0), (260, 348)), strict=True):
        part = (slice(y, y + 260), slice(x, x + 348))
        image = np.repeat(np.asarray(data)[part][..., None], 3, 2)
        name = f"{y}, {x}"
        planes.append(TaughtPlane(name, name, image, np.roll(labels[part], move, (0, 1)), complete=True))
    return planes


@pytest.mark.long
@pytest.mark.parametrize("steps", [2, 24])
def test_what_the_bundled_model_learns_of_misplaced_labels_is_not_kept(tmp_path, monkeypatch, steps):
    row = weights.lookup("bundled")
    path = weights.target_path(row)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    plain = learning.training_config

    monkeypatch.setattr(learning, "training_config", lambda *arguments: replace(plain(*arguments), steps=steps))
    base = read_base(path, row.architecture)
    origin = AdapterOrigin(file_digests(path, ["sha256"])["sha256"], row.name, base.architecture)
    config = FinetuneConfig(minutes=60, measured_objects=40, searched=1)
    report = finetune(config, base, origin, split_material(misplaced()), tmp_path / "run")
    assert report.steps == steps
    assert not report.better
    assert not report.kept
    assert report.verdict.startswith("Not better")
    if report.after["box"] > report.before["box"] + 0.02:
        # It has learnt to fill boxes, and would pass for better.
        assert "Look whether labels and images belong together" in report.verdict
    assert not (tmp_path / "run" / ADAPTER_FILE).exists()
    assert weights.imported() == ()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
