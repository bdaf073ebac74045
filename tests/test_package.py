"""The package as it is shipped: manifest, metadata, wheel, imports, samples."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import napari_sam
from napari_sam import samples
from napari_sam.errors import InputError

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_sam"
NAME = "napari-sam-live"
DECLARED_AHEAD = {"magicgui"}  # pyproject.toml says why
HEAVY = {"torch", "napari", "qtpy", "superqt", "PyQt6", "PySide6", "skimage", "scipy", "open_clip"}
QT_BINDINGS = {"pyqt5", "pyqt6", "pyside2", "pyside6"}


def manifest() -> dict:
    return yaml.safe_load((SOURCE / "napari.yaml").read_text())


def runtime_requirements() -> list[Requirement]:
    requirements = [Requirement(text) for text in distribution(NAME).requires or ()]
    return [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]


def everything_requirements() -> list[Requirement]:
    return [Requirement(t) for t in distribution(NAME).requires or () if "extra == 'all'" in t.replace('"', "'")]


def test_manifest_is_valid_and_carries_the_name_of_the_distribution():
    import npe2

    installed = npe2.PluginManifest.from_distribution(NAME)
    assert installed.name == NAME
    assert installed.display_name == manifest()["display_name"]
    assert {str(c) for c in installed.categories} >= {"Segmentation", "Annotation"}


@pytest.mark.skipif(sys.platform == "win32", reason="git checks symbolic links out as text on Windows")
def test_manifest_at_the_top_is_the_packaged_one():
    assert (ROOT / "napari.yaml").resolve() == SOURCE / "napari.yaml"


def test_manifest_icon_and_contributions_point_at_what_exists():
    contributions = manifest()["contributions"]
    package, resource = manifest()["icon"].split(":")
    assert (SOURCE / resource).is_file() and package == "napari_sam"
    # Those of actions are for the command palette, which lists all.
    commands = {c["id"] for c in contributions["commands"] if ".palette:" not in c["python_name"]}
    kinds = ("widgets", "sample_data", "readers", "writers")
    used = [entry for kind in kinds for entry in contributions[kind]] + contributions["menus"]["napari/layers/segment"]
    assert {entry["command"] for entry in used} == commands


@pytest.mark.gui
def test_manifest_dock_is_a_widget_class():
    from qtpy.QtWidgets import QWidget

    command = next(c for c in manifest()["contributions"]["commands"] if c["id"].endswith(".dock"))
    module, attribute = command["python_name"].split(":")
    assert issubclass(getattr(importlib.import_module(module), attribute), QWidget)


def test_sample_images_of_the_manifest_are_napari_layer_data():
    commands = {c["id"]: c["python_name"] for c in manifest()["contributions"]["commands"]}
    shapes = {}
    for entry in manifest()["contributions"]["sample_data"][:3]:
        module, attribute = commands[entry["command"]].split(":")
        ((pixels, options, kind),) = getattr(importlib.import_module(module), attribute)()
        assert kind == "image" and pixels.dtype == np.uint8 and options["name"] == entry["display_name"]
        assert options["metadata"]["licence"] == "CC0-1.0" and "scale" not in options
        if pixels.ndim == 2:
            low, high = options["contrast_limits"]
            assert np.mean((pixels >= low) & (pixels <= high)) > 0.99
        shapes[entry["key"]] = pixels.shape
    assert shapes == {"fluorescence": (520, 696), "tissue": (256, 320, 3), "brightfield": (1024, 1024)}


def test_sample_volumes_of_the_manifest_carry_spacing_and_units(monkeypatch):
    from napari.layers import Image
    from skimage import data

    monkeypatch.setattr(data, "cells3d", lambda: np.zeros((60, 2, 256, 256), np.uint16))  # downloads
    commands = {c["id"]: c["python_name"] for c in manifest()["contributions"]["commands"]}
    layers = {}
    for entry in manifest()["contributions"]["sample_data"][3:]:
        module, attribute = commands[entry["command"]].split(":")
        ((pixels, options, kind),) = getattr(importlib.import_module(module), attribute)()
        assert kind == "image" and options["metadata"]["source"]
        layers[entry["key"]] = Image(pixels, **options)
    assert {key: (layer.data.shape, tuple(layer.scale), str(layer.units[0])) for key, layer in layers.items()} == {
        "nuclei_volume": ((28, 176, 192), (1.0, 0.25, 0.25), "micrometer"),
        "brain": ((24, 96, 128), (2.199999, 2.0, 2.0), "millimeter"),
        "cells_volume": ((60, 256, 256), (0.29, 0.26, 0.26), "micrometer"),
    }


def test_sample_that_cannot_be_downloaded_or_is_not_installed_says_so(monkeypatch):
    from skimage import data

    def offline():
        raise ConnectionError("no internet connection is available.")

    monkeypatch.setattr(data, "cells3d", offline)
    with pytest.raises(InputError, match="cannot be downloaded: no internet connection"):
        samples.cells_volume()
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(InputError, match=r"napari-sam-live\[medical\]"):
        samples.brain()


def test_a_sample_can_be_changed_without_changing_the_next_one():
    first = samples.tissue()[0]
    first[0][:] = 0
    first[1]["metadata"].clear()
    again = samples.tissue()[0]
    assert again[0].any() and again[1]["metadata"]


def test_metadata_is_what_the_napari_hub_reads():
    metadata = distribution(NAME).metadata
    assert "Framework :: napari" in metadata.get_all("Classifier")
    assert metadata["License-Expression"] == "BSD-3-Clause"
    links = {link.split(", ", 1)[0] for link in metadata.get_all("Project-URL")}
    assert {"Homepage", "Documentation", "Source Code", "Bug Tracker", "User Support"} <= links


def test_no_qt_binding_is_forced_upon_the_person():
    assert not QT_BINDINGS & {canonicalize_name(r.name) for r in runtime_requirements()}
    assert all(not r.extras for r in runtime_requirements())
    everything = everything_requirements()
    assert {(r.name, *r.extras) for r in everything if r.extras} == {("napari", "all"), ("dask", "distributed")}
    assert not QT_BINDINGS & {canonicalize_name(r.name) for r in everything}


def test_dependencies_are_those_that_the_source_imports():
    declared = {canonicalize_name(r.name) for r in runtime_requirements()}
    modules = {name for path in SOURCE.rglob("*.py") for name in _imported(path)}
    homes = packages_distributions()
    imported = {canonicalize_name(homes[name][0]) for name in modules if name in homes} - {NAME}
    optional = {canonicalize_name(r.name) for r in everything_requirements()}
    assert declared - DECLARED_AHEAD <= imported <= declared | optional
    assert declared >= DECLARED_AHEAD


def _imported(path: Path) -> set[str]:
    """Top-level names of the third-party modules that a file imports when it runs, anywhere in it."""
    names, nodes = set(), [ast.parse(path.read_text())]
    while nodes:
        match node := nodes.pop():
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                nodes += node.orelse
                continue
            case ast.Import(names=aliases):
                names |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(level=0, module=str(module)):
                names.add(module.partition(".")[0])
        nodes += ast.iter_child_nodes(node)
    return names - set(sys.stdlib_module_names) - {"napari_sam"}


def test_importing_the_package_is_light():
    code = (
        "import sys, napari_sam; napari_sam.PointPrompt((1, 2)); napari_sam.list_models();"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_public_names_are_all_there():
    for name in napari_sam.__all__:
        assert getattr(napari_sam, name) is not None
    assert set(napari_sam.__all__) <= set(dir(napari_sam))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = napari_sam.nonsense


def test_wheel_holds_the_package_and_nothing_else(tmp_path: Path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(n for n in names if n.endswith("entry_points.txt"))
        entry_points = archive.read(metadata).decode()
    packaged = {n for n in names if ".dist-info/" not in n}
    source = {
        str(Path("napari_sam", path.relative_to(SOURCE)))
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == source
    assert {"napari_sam/napari.yaml", "napari_sam/py.typed", "napari_sam/samples/tissue.png"} <= packaged
    assert any(re.fullmatch(r".*\.dist-info/licenses/LICENSE", n) for n in names)
    assert "napari-sam = napari_sam.__main__:main" in entry_points
    assert "napari-sam-live = napari_sam:napari.yaml" in entry_points
    assert wheel.stat().st_size < 40e6


def test_version_is_told_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert distribution(NAME).version == project["version"] == napari_sam.__version__
    assert f"[{project['version']}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {project['version']}" in (ROOT / "CITATION.cff").read_text()


def test_what_napari_computes_leaves_torch_its_threads():
    # Else answers of this process and of others differ in the last bits, and all tests take longer from then on.
    import numba

    @numba.njit(parallel=True)
    def add(values):
        for index in numba.prange(len(values)):
            values[index] += 1

    add(np.ones(100))
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
