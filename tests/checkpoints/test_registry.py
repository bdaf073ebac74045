from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

import napari_sam
from napari_sam.checkpoints.registry import ARCHITECTURES, ModelSpec, get_model, list_models
from napari_sam.errors import WeightsError

LENGTHS = {"sha256": 64, "md5": 32, "xxh128": 32}


def test_public_name_is_this_table_and_starts_with_the_bundled_model():
    models = napari_sam.list_models()
    assert models is list_models()
    assert models[0].name == "bundled"
    assert models[0].bundled
    assert not any(spec.bundled for spec in models[1:])


def test_every_published_family_is_there():
    names = {spec.name for spec in list_models()}
    assert names >= {f"sam_vit_{size}" for size in "blh"} | {"mobile_sam", "tinysam", "medsam_vit_b"}
    assert names >= {f"vit_{size}_{kind}" for size in "tbl" for kind in ("lm", "em_organelles")}
    assert names >= {f"vit_{size}_histopathology" for size in "blh"} | {"vit_b_medical_imaging"}
    assert names >= {f"sam_hq_vit_{size}" for size in ("b", "l", "h", "tiny")}


def test_names_files_and_checksums_are_unique():
    models = list_models()
    for values in (
        [spec.name for spec in models],
        [spec.filename for spec in models],
        [spec.checksum for spec in models if spec.checksum],
        [url for spec in models for url in spec.urls],
    ):
        assert len(values) == len(set(values))


@pytest.mark.parametrize("spec", list_models(), ids=lambda spec: spec.name)
def test_row_is_complete(spec: ModelSpec):
    assert spec.architecture in ARCHITECTURES
    assert spec.licence
    assert spec.domain
    assert spec.use_for.endswith(".")
    assert len(spec.use_for) < 90
    assert "NC" not in spec.licence.split("-")
    assert spec.approximate_size is not None
    assert all(urlsplit(url).scheme == "https" for url in (*spec.urls, spec.project) if url)
    for algorithm, length in LENGTHS.items():
        digest = getattr(spec, algorithm)
        assert digest is None or re.fullmatch(f"[0-9a-f]{{{length}}}", digest)
    if not spec.bundled:
        assert spec.urls
        assert spec.project
        # A published size is that of the architecture's parameters, to within one in a hundred.
        twin = ModelSpec("twin", "", spec.architecture, ()).approximate_size
        assert abs(spec.approximate_size - twin) < 0.01 * twin


def test_official_file_names_carry_the_start_of_their_md5():
    for letter in "blh":
        spec = get_model(f"sam_vit_{letter}")
        assert spec.urls[0].endswith(f"_{spec.md5[:6]}.pth")


def test_strongest_checksum_is_chosen():
    assert ModelSpec("a", "", None, (), sha256="s", md5="m", xxh128="x").checksum == ("sha256", "s")
    assert ModelSpec("a", "", None, (), md5="m", xxh128="x").checksum == ("xxh128", "x")
    assert ModelSpec("a", "", None, (), md5="m").checksum == ("md5", "m")
    assert ModelSpec("a", "", None, ()).checksum is None


def test_file_is_called_after_the_model_whatever_the_address():
    assert get_model("sam_vit_b").filename == "sam_vit_b.pth"
    assert get_model("vit_b_lm").filename == "vit_b_lm.pt"
    assert get_model("vit_b_histopathology").filename == "vit_b_histopathology.pt"  # its address ends in /download


@pytest.mark.parametrize(
    ("typed", "meant"), [("sam_vit_bb", "sam_vit_b"), ("SAM-ViT-B", "sam_vit_b"), ("mobilesam", "mobile_sam")]
)
def test_mistyped_name_is_helped(typed, meant):
    with pytest.raises(WeightsError, match=rf"Did you mean .*\b{meant}\b"):
        get_model(typed)


def test_name_like_none_points_to_the_list():
    with pytest.raises(WeightsError, match="napari-sam models list"):
        get_model("qqqq")


def test_size_that_is_not_published_carries_a_tilde():
    assert get_model("vit_b_lm").size_text == "~375 MB"
    assert get_model("sam_vit_b").size_text == "375 MB"
    assert get_model("bundled").size_text == "in the package"
