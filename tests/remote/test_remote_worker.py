"""How a worker finds the model that it is asked for."""

from __future__ import annotations

import shutil

import pytest

from fakes import blob
from napari_sam.checkpoints.importing import import_file
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.checkpoints.weights import lookup, target_path
from napari_sam.device import choose_device
from napari_sam.errors import DeviceError, WeightsError
from napari_sam.model.digest import code_digest
from napari_sam.planes.plane import Plane
from napari_sam.remote import worker
from napari_sam.remote.worker import EncodingRequest, ModelReference, describe, encode


@pytest.fixture(autouse=True)
def forget():
    worker._loaded.clear()


@pytest.fixture(scope="module")
def weights():
    return load_checkpoint(target_path(lookup("bundled"))).digest


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "mine.safetensors"
    shutil.copy(target_path(lookup("bundled")), path)
    return path


def test_by_name_and_once(weights, monkeypatch):
    model = ModelReference.of("bundled", weights)
    assert model.name == "bundled"
    assert describe(model).networks == code_digest()
    monkeypatch.setattr(worker, "load_checkpoint", None)
    assert describe(model).device.startswith("CPU")


def test_by_a_path_that_both_machines_see(weights, checkpoint, monkeypatch):
    monkeypatch.chdir(checkpoint.parent)
    model = ModelReference.of("./mine.safetensors", weights)
    assert model.name == str(checkpoint.resolve())
    describe(model)


def test_by_its_weights_where_it_was_imported_under_another_name(weights, checkpoint):
    import_file(checkpoint, "theirs")
    describe(ModelReference("/nowhere/mine.safetensors", weights))


def test_a_file_that_only_the_other_machine_has_is_refused_with_what_to_do(weights):
    with pytest.raises(WeightsError, match=r"cannot load /nowhere/mine\.safetensors: .* models import FILE"):
        describe(ModelReference("/nowhere/mine.safetensors", weights))


def test_memory_that_runs_out_is_told_in_words(weights, monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(worker, "encode_plane", full)
    monkeypatch.setattr(worker, "_reporter", lambda _request: None)
    request = EncodingRequest.of(Plane(blob()), ModelReference.of("bundled", weights), "topic", "ticket")
    assert request.pixels.ndim == 2
    with pytest.raises(DeviceError, match=r"ran out of memory on CPU"):
        encode(request)
    assert choose_device().type == "cpu"
