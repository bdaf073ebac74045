"""Half precision, where it is wanted, safe and faster."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_sam.embedding import embedding_key
from napari_sam.embedding import encoder_dtype as dtype_of
from napari_sam.errors import InputError
from napari_sam.masks import iou
from napari_sam.model import precision
from napari_sam.model.encoders import products
from napari_sam.model.encoders.vit import ViTConfig
from napari_sam.model.sam.sam import MOBILE, VIT_B, VIT_H, VIT_L
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor, load_predictor
from napari_sam.prompts import BoxPrompt, PointPrompt
from sam_reference import picture, tiny_sam

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def asks(monkeypatch):
    return lambda name: monkeypatch.setenv(precision.VARIABLE, name)


@pytest.fixture
def fast_half(monkeypatch):
    """A processor with units for bfloat16."""
    monkeypatch.setattr(precision, "faster_in_bfloat16", lambda: True)


@pytest.fixture
def gpu(monkeypatch):
    """Make a GPU of some capability, of which torch says whether it has units for bfloat16."""

    def make(capability: tuple[int, int], name: str = "NVIDIA") -> None:
        monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)

    return make


class TestChoice:
    def test_a_processor_computes_in_float32_until_it_is_asked(self, asks, fast_half):
        assert precision.encoder_dtype(CPU, fits_float16=True) == torch.float32
        asks("half")
        assert precision.encoder_dtype(CPU, fits_float16=True) == torch.bfloat16
        assert precision.encoder_dtype(torch.device("mps"), fits_float16=True) == torch.float32

    def test_a_processor_without_units_for_it_does_so_in_any_case(self, asks, monkeypatch):
        monkeypatch.setattr(precision, "faster_in_bfloat16", lambda: False)
        asks("half")
        assert precision.encoder_dtype(CPU, fits_float16=True) == torch.float32

    @pytest.mark.parametrize(
        ("capability", "name", "fits", "expected"),
        [
            ((9, 0), "NVIDIA H100", False, torch.bfloat16),
            ((7, 5), "Tesla T4", True, torch.float16),
            ((7, 5), "Tesla T4", False, torch.float32),
            ((7, 5), "NVIDIA GeForce GTX 1660", True, torch.float32),
            ((6, 1), "NVIDIA GeForce GTX 1080", True, torch.float32),
        ],
    )
    def test_a_gpu_computes_in_what_it_has_units_for(self, gpu, asks, capability, name, fits, expected):
        gpu(capability, name)
        for wish in ("auto", "half"):
            asks(wish)
            assert precision.encoder_dtype(CUDA, fits_float16=fits) == expected
        asks("float32")
        assert precision.encoder_dtype(CUDA, fits_float16=fits) == torch.float32

    def test_float16_holds_the_numbers_of_some_encoders_only(self):
        assert VIT_B.encoder.fits_float16 and VIT_L.encoder.fits_float16
        assert not (VIT_H.encoder.fits_float16 or MOBILE.encoder.fits_float16)
        assert ViTConfig(width=168).fits_float16

    def test_what_is_no_precision_is_refused_with_words(self, asks):
        asks("bf16")
        with pytest.raises(InputError, match=r'is "bf16"\. Set it to one of: auto, float32, half'):
            precision.encoder_dtype(CPU, fits_float16=True)
        asks("")
        assert precision.wanted() == "auto"


def test_what_is_no_precision_is_refused_when_a_model_is_loaded(asks):
    asks("bf16")
    with pytest.raises(InputError, match="NAPARI_SAM_PRECISION"):
        load_predictor("bundled", "cpu")


class TestMeasuring:
    @pytest.fixture(autouse=True)
    def fresh(self):
        precision.faster_in_bfloat16.cache_clear()
        yield
        precision.faster_in_bfloat16.cache_clear()

    def test_processors_without_units_are_not_kept_waiting(self, monkeypatch):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True}, raising=False)
        monkeypatch.setattr(products, "least_seconds", lambda one, other: pytest.fail("it was measured"))
        assert not precision.faster_in_bfloat16()

    @pytest.mark.parametrize(("full", "half", "expected"), [(1.3, 1.0, True), (1.2, 1.0, False)])
    def test_it_must_pay(self, monkeypatch, full, half, expected):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
        monkeypatch.setattr(products, "least_seconds", lambda one, other: (full, half))
        assert precision.faster_in_bfloat16() is expected


@pytest.mark.parametrize("kind", [{}, {"mobile": True}, {"high_quality": True}], ids=["vit", "tiny vit", "hq"])
class TestHalf:
    def test_features_are_close_and_in_float32(self, asks, fast_half, kind):
        model = tiny_sam(**kind)
        plane = picture(96, 128)
        frame = model.frame(plane.shape[:2])
        with torch.inference_mode():
            pixels = model.preprocess(plane, frame)
            full = model.encode(pixels)
            asks("half")
            half = model.encode(pixels)
        for one, other in zip(full, half, strict=True):
            assert other.dtype == torch.float32
            assert 0 < float((one - other).norm() / one.norm()) < 0.03

    def test_answers_are_all_but_the_same(self, asks, fast_half, kind):
        predictor = Predictor(tiny_sam(**kind), "weights")
        image = picture(96, 128)
        prompts = [[PointPrompt((40.0, 50.0))], [BoxPrompt((20.0, 30.0), (70.0, 90.0))]]
        full = [predictor.predict(predictor.embed(image), each) for each in prompts]
        asks("half")
        half = [predictor.predict(predictor.embed(image), each) for each in prompts]
        for one, other in zip(full, half, strict=True):
            assert other.logits.dtype == np.float32
            assert not np.array_equal(one.logits, other.logits)
            assert np.abs(one.logits - other.logits).max() < 0.1 * np.abs(one.logits).max()
            assert np.mean([iou(*pair) for pair in zip(one.masks, other.masks, strict=True)]) > 0.9


def test_embeddings_of_another_precision_are_others(asks, fast_half):
    predictor, plane = Predictor(tiny_sam(), "weights"), Plane(picture(64, 64))
    full = predictor.key(plane)
    assert "bfloat16" not in predictor.device_text
    asks("half")
    assert predictor.key(plane) != full
    assert predictor.embed(plane).key == predictor.key(plane)
    assert predictor.device_text.endswith("bfloat16)")
    asks("float32")
    assert predictor.key(plane) == full


def test_models_that_do_not_halve_compute_in_float32(asks, fast_half):
    asks("half")
    assert dtype_of(SimpleNamespace()) == torch.float32


def test_what_another_machine_encoded_has_the_key_of_this_one(asks, fast_half):
    there, plane = Predictor(tiny_sam(), "weights"), Plane(picture(64, 64))

    def encode(plane, key, progress):
        packed = there.embed(plane).packed()
        assert packed.key == key  # of weights and networks alone: the precision is the other machine's own affair
        asks("half")
        return packed

    asks("half")
    here = Predictor(tiny_sam(), "weights", encoder=SimpleNamespace(encode=encode, notice=""))
    key = here.key(plane)
    encode_there = here._encoder.encode
    here._encoder.encode = lambda *given: (asks("float32"), encode_there(*given))[1]
    assert here.embed(plane).key == key != embedding_key("weights", here.grid(plane)[0], plane)
