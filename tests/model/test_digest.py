"""What changes the digest of the networks, which is part of the key of every embedding."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_sam.model
from napari_sam.model.digest import code_digest, folder_digest

SOURCE = """def encode(x):
    \"\"\"Encode.\"\"\"
    return x * 2  # twice
"""


@pytest.fixture
def networks(tmp_path):
    """A package with a network two floors down."""
    (tmp_path / "encoders" / "deep").mkdir(parents=True)
    for name in ("protocol.py", "encoders/vit.py", "encoders/deep/blocks.py"):
        (tmp_path / name).write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize("name", ["protocol.py", "encoders/vit.py", "encoders/deep/blocks.py"])
def test_a_changed_operation_counts_at_any_depth(networks, name):
    before = folder_digest(networks)
    (networks / name).write_text(SOURCE.replace("x * 2", "x * 3"))
    assert folder_digest(networks) != before


@pytest.mark.parametrize("name", ["protocol.py", "encoders/deep/blocks.py"])
@pytest.mark.parametrize(
    ("old", "new"),
    [("# twice", "# two times"), ("Encode.", "Encode an image."), ("    return", "\n    return"), ("x * 2", "(x * 2)")],
    ids=["comment", "docstring", "blank line", "brackets"],
)
def test_what_the_interpreter_does_not_run_does_not_count(networks, name, old, new):
    before = folder_digest(networks)
    (networks / name).write_text(SOURCE.replace(old, new))
    assert folder_digest(networks) == before


def test_a_module_that_comes_goes_or_moves_counts(networks):
    before = folder_digest(networks)
    blocks = networks / "encoders" / "deep" / "blocks.py"
    blocks.rename(networks / "encoders" / "blocks.py")
    moved = folder_digest(networks)
    (networks / "encoders" / "blocks.py").unlink()
    assert len({before, moved, folder_digest(networks)}) == 3


def test_the_key_counts_every_network_of_the_package(monkeypatch, tmp_path):
    """A copy of the package, with one line changed in a sub-package, has another digest."""
    package = Path(napari_sam.model.__file__).parent
    for path in package.rglob("*.py"):
        copy = tmp_path / path.relative_to(package)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert folder_digest(tmp_path) == code_digest()
    vit = tmp_path / "encoders" / "vit.py"
    vit.write_text(vit.read_text() + "\nSCALE = 2\n")
    assert folder_digest(tmp_path) != code_digest()
