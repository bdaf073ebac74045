from __future__ import annotations

import pickle

import numpy as np
import pytest
from tiny import rendered_bank

from napari_sam.errors import Cancelled
from napari_sam.training.synthetic import scene_dataset as module
from napari_sam.training.synthetic.scene_dataset import open_bank
from napari_sam.training.synthetic.scenes import draw_scene


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD", 6)
    monkeypatch.setattr(module, "_JOB", 4)


def test_a_bank_holds_as_many_scenes_as_asked_for(tmp_path, small_shards):
    bank = open_bank(tmp_path, 8, side=32, seed=5)
    assert len(bank) == 8
    for index in (0, 5, 6, 7):
        expected = draw_scene(np.random.default_rng((5, index)), 32)
        assert all((got == wanted).all() for got, wanted in zip(bank[index], expected, strict=True))
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {
        f"scenes-32-5-{stem}.{kind}.npy" for stem in ("0000", "0001-first2") for kind in ("images", "labels")
    }


def test_whole_shards_serve_smaller_banks(tmp_path, small_shards):
    large = rendered_bank(tmp_path / "bank", 12, 32)
    small = open_bank(tmp_path / "bank", 8, side=32)
    assert (len(large), len(small)) == (12, 8)
    assert (small[7][0] == large[7][0]).all()
    assert len(list((tmp_path / "bank").iterdir())) == 4


def test_a_bank_travels_as_names_of_files(tmp_path):
    bank = rendered_bank(tmp_path / "bank", 3, 32)
    packed = pickle.dumps(bank)
    assert len(packed) < 1000
    assert (pickle.loads(packed)[2][0] == bank[2][0]).all()


def test_rendering_can_be_cancelled_and_taken_up(tmp_path, small_shards):
    shares = []

    def stop_after_the_first_shard(share: float) -> None:
        shares.append(share)
        if len(list(tmp_path.glob("*.labels.npy"))) == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        open_bank(tmp_path, 18, side=32, progress=stop_after_the_first_shard)
    assert max(shares) < 1
    done = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert len(open_bank(tmp_path, 18, side=32)) == 18
    assert all(file.stat().st_mtime_ns == time for file, time in done.items())
