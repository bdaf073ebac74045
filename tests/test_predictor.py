from __future__ import annotations

import numpy as np
import pytest
import torch

from fakes import BrightnessModel, blob
from napari_sam import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam.device import (
    available_devices,
    choose_device,
    describe_device,
    devices_without_code,
    has_code_for,
    is_out_of_memory,
)
from napari_sam.errors import Cancelled, ConflictError, DeviceError, InputError
from napari_sam.planes.plane import Plane
from napari_sam.predictor import Predictor, draw_masks, load_predictor


@pytest.fixture
def model():
    return BrightnessModel()


@pytest.fixture
def predictor(model):
    return Predictor(model, "digest", name="Fake")


def test_a_click_gives_three_candidates_best_first(predictor):
    image = blob()
    prediction = predictor.predict(predictor.embed(image), [PointPrompt((12, 40))])
    assert prediction.masks.shape == (3, 40, 60)
    assert prediction.masks.dtype == bool
    assert prediction.scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert prediction.scores.dtype == np.float32
    assert prediction.logits.shape == (3, 20, 30)
    # Masks, scores and logits are sorted alike: the model's second candidate comes first.
    assert prediction.logits[0].max() == pytest.approx(20)
    full = prediction.logits.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(prediction.masks, full > 0)
    assert prediction.masks[1].sum() > prediction.masks[0].sum()  # else their order could not be told
    overlap = prediction.masks[0] & (image > 0)
    assert overlap.sum() > 0.8 * (image > 0).sum()


@pytest.mark.parametrize(
    ("prompts", "multimask", "count"),
    [
        ([PointPrompt((12, 40))], None, 3),
        ([PointPrompt((12, 40)), PointPrompt((0, 0), False)], None, 1),
        ([BoxPrompt((2, 30), (22, 50))], None, 1),
        ([PointPrompt((12, 40))], False, 1),
        ([BoxPrompt((2, 30), (22, 50))], True, 3),
    ],
)
def test_number_of_candidates(predictor, prompts, multimask, count):
    assert len(predictor.predict(predictor.embed(blob()), prompts, multimask=multimask).masks) == count


def test_prompts_reach_the_model_in_its_own_frame(predictor, model):
    embedding = predictor.embed(blob())
    logits = np.arange(20 * 30, dtype=np.float32).reshape(20, 30)
    predictor.predict(
        embedding, [PointPrompt((3, 5)), BoxPrompt((-7, 2), (90, 8)), PointPrompt((1, 9), False), MaskPrompt(logits)]
    )
    [seen] = model.decoded
    assert seen.points.tolist() == [[[5, 3], [9, 1]]]
    assert seen.labels.tolist() == [[1, 0]]
    assert seen.boxes.tolist() == [[2, -0.5, 8, 39.5]]
    assert seen.masks.shape == (1, 1, 20, 30)
    assert seen.masks[0, 0, 1, 0] == 30


def test_a_box_alone_has_no_points(predictor, model):
    predictor.predict(predictor.embed(blob()), [BoxPrompt((2, 30), (22, 50))])
    assert model.decoded[0].points.shape == (1, 0, 2)
    assert model.decoded[0].masks is None


@pytest.mark.parametrize("image", [np.float32, np.uint16, "rgb", "nan", "constant"])
def test_every_kind_of_image_embeds(predictor, image):
    base = blob()
    pixels = {
        "rgb": np.repeat(base[..., None], 3, 2),
        "nan": np.where(base > 0, 1.0, np.nan),
        "constant": np.full(base.shape, 3.0),
    }
    given = pixels[image] if isinstance(image, str) else base.astype(image)
    assert predictor.predict(predictor.embed(given), [PointPrompt((12, 40))]).masks[0].any()


def test_the_key_sees_pixels_window_spacing_and_weights(predictor, model):
    image = blob()
    key = predictor.embed(image).key
    assert key == predictor.embed(image.copy()).key
    assert key == predictor.key(Plane(image))
    changed = image.copy()
    changed[0, 0] = 1
    assert key != predictor.embed(changed).key
    assert key != predictor.embed(image, contrast_limits=(0, 100)).key
    assert key != predictor.embed(image, gamma=0.5).key
    assert key != Predictor(model, "other").embed(image).key
    # The same bytes in another shape are another picture.
    assert key != predictor.embed(image.reshape(60, 40)).key


def test_an_embedding_of_other_weights_is_refused(predictor, model):
    embedding = Predictor(model, "other").embed(blob())
    with pytest.raises(InputError, match="Embed the image again"):
        predictor.predict(embedding, [PointPrompt((1, 1))])


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ([], "no prompt"),
        ([PointPrompt((-3, 0))], "outside"),
        ([MaskPrompt(np.zeros((4, 4)))], "needs 20 x 30"),
    ],
)
def test_unusable_prompts_are_refused_with_words(predictor, prompts, words):
    with pytest.raises(InputError, match=words):
        predictor.predict(predictor.embed(blob()), prompts)


def test_prompts_the_model_was_not_trained_for_are_refused():
    boxes_only = Predictor(BrightnessModel(frozenset({"box"})), "digest", name="MedSAM")
    embedding = boxes_only.embed(blob())
    with pytest.raises(InputError, match="MedSAM was not trained for point prompts; it takes box prompts"):
        boxes_only.predict(embedding, [PointPrompt((12, 40))])


def test_cancel_passes_through_embed(predictor):
    def stop(_fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        predictor.embed(blob(), progress=stop)


class FullDevice(BrightnessModel):
    """Claims to be on a GPU, and runs out of memory there."""

    moved = False

    @property
    def device(self) -> torch.device:
        return torch.device("cpu") if self.moved else torch.device("xpu")

    def to(self, device):
        self.moved = device == "cpu"
        return self

    def encode(self, pixels, progress=lambda _: None):
        if not self.moved:
            raise torch.OutOfMemoryError("XPU out of memory. Tried to allocate 5 GiB")
        return super().encode(pixels, progress)


@pytest.fixture
def named_xpu(monkeypatch):
    monkeypatch.setattr(torch.xpu, "get_device_name", lambda _device: "Arc")


@pytest.mark.usefixtures("named_xpu")
def test_out_of_memory_falls_back_to_the_cpu_and_says_so():
    predictor = Predictor(FullDevice(), "digest", name="Fake")
    with pytest.warns(RuntimeWarning, match="now runs on the CPU"):
        embedding = predictor.embed(blob())
    assert "XPU (Arc) ran out of memory" in predictor.notice
    assert predictor.device.type == "cpu"
    assert predictor.predict(embedding, [PointPrompt((12, 40))]).masks[0].any()


@pytest.mark.usefixtures("named_xpu")
def test_out_of_memory_on_a_chosen_device_is_an_error_with_advice():
    predictor = Predictor(FullDevice(), "digest", fall_back=False)
    with pytest.raises(DeviceError, match='choose device "cpu"'):
        predictor.embed(blob())


def test_other_runtime_errors_are_not_hidden(predictor, model, monkeypatch):
    def broken(*_args):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(model, "encode", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        predictor.embed(blob())


def test_devices():
    assert available_devices()[-1] == "cpu"
    assert choose_device("auto").type == available_devices()[0].split(":")[0]
    assert choose_device("cpu").type == "cpu"
    assert describe_device(torch.device("cpu")).startswith("CPU (")
    for name in ("warp", "cuda:99", "meta"):
        with pytest.raises(DeviceError, match="There is no device"):
            choose_device(name)


class DeviceWithoutCode(FullDevice):
    """A GPU for which torch was built without code."""

    def encode(self, pixels, progress=lambda _: None):
        if not self.moved:
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device")
        return super().encode(pixels, progress)


@pytest.mark.usefixtures("named_xpu")
def test_a_device_without_code_falls_back_to_the_cpu_and_says_so():
    predictor = Predictor(DeviceWithoutCode(), "digest", name="Fake")
    with pytest.warns(RuntimeWarning, match="now runs on the CPU"):
        predictor.embed(blob())
    assert "XPU (Arc) is a device that the installed PyTorch has no code for" in predictor.notice
    with pytest.raises(DeviceError, match=r'no code for\..* choose device "cpu"'):
        Predictor(DeviceWithoutCode(), "digest", fall_back=False).embed(blob())


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((8, 6), ["sm_75", "sm_80", "sm_90"], True),
        ((9, 0), ["sm_75", "sm_80"], False),
        ((7, 5), ["sm_80", "compute_80"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((12, 1), ["sm_90a", "sm_120"], True),
        ((6, 1), ["sm_70", "sm_75"], False),
        ((9, 0), ["gfx90a", "gfx1100"], True),
    ],
    ids=["later minor", "later major", "earlier", "translated", "with letters", "too old", "AMD's are not judged"],
)
def test_a_gpu_is_used_if_torch_has_code_for_it(capability, built, runs, monkeypatch):
    for name, answer in (
        ("is_available", True),
        ("device_count", 1),
        ("get_device_capability", capability),
        ("get_arch_list", built),
        ("get_device_name", "GTX 1080"),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda *_args, answer=answer: answer)
    assert has_code_for(0) is runs
    assert ("cuda" in available_devices()) is runs
    assert choose_device("auto").type == "cuda" if runs else choose_device("auto").type != "cuda"
    if runs:
        assert choose_device("cuda").type == "cuda"
        assert not devices_without_code()
    else:
        assert "no code for GTX 1080" in devices_without_code()
        with pytest.raises(DeviceError, match="no code for GTX 1080"):
            choose_device("cuda")


def test_with_a_gpu_that_is_not_supported_the_bundled_model_says_why_it_runs_on_the_cpu(monkeypatch):
    monkeypatch.setattr("napari_sam.predictor.devices_without_code", lambda: "no code for GTX 1080")
    monkeypatch.setattr("napari_sam.predictor.choose_device", lambda _name: torch.device("cpu"))
    assert load_predictor("bundled").notice == "no code for GTX 1080"
    assert not load_predictor("bundled", device="cpu").notice


def test_out_of_memory_is_told_from_other_errors():
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(MemoryError())


def test_the_abandoned_plugin_beside_ours_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("napari_sam._conflict.conflict", lambda: "Run `pip uninstall napari-sam`.")
    with pytest.raises(ConflictError, match="pip uninstall napari-sam"):
        load_predictor("bundled")


def test_logits_are_drawn_again_as_they_were_predicted(predictor):
    plane = Plane(blob())
    found = predictor.predict(predictor.embed(plane), [PointPrompt((12, 40))])
    np.testing.assert_array_equal(draw_masks(predictor, plane, found.logits), found.masks)
    laxer, stricter = (draw_masks(predictor, plane, found.logits, at) for at in (-0.5, 0.5))
    assert (laxer | ~found.masks).all()
    assert (found.masks | ~stricter).all()
