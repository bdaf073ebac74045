"""How the package is built, where no contract of the import linter says it: circles, sizes of folders, names."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from pathlib import Path

import grimp
import networkx
import pytest

import napari_sam

SOURCE = Path(napari_sam.__file__).parent
MOST_MODULES = 12
"""In a folder; `__init__` and `__main__` do not count."""
LONGEST_CLASS = 300
"""Lines of a class, with its docstrings."""


@pytest.fixture(scope="module")
def imports() -> networkx.DiGraph:
    """Who imports whom, what is imported for types alone included."""
    graph = grimp.build_graph("napari_sam", cache_dir=None)
    return networkx.DiGraph(
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    )


def circles(imports: networkx.DiGraph) -> list[list[str]]:
    return [sorted(modules) for modules in networkx.strongly_connected_components(imports) if len(modules) > 1]


def class_lengths() -> dict[str, int]:
    """How many lines each class of the package takes."""
    return {
        f"{path.relative_to(SOURCE).as_posix()}: {node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.end_lineno is not None
    }


def class_definitions() -> dict[str, list[str]]:
    """Where each class of the package is defined, networks left out: each architecture has its own `MaskDecoder`."""
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE)
        if module.parts[0] != "model":
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(module.as_posix())
    return found


def test_no_modules_import_each_other_in_a_circle(imports):
    assert len(imports) > 200
    assert circles(imports) == []


def test_no_folder_is_crowded():
    counts = Counter(
        path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if not path.stem.startswith("__")
    )
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_a_class_name_means_one_thing():
    assert {name: modules for name, modules in class_definitions().items() if len(modules) > 1} == {}


def test_no_class_is_too_long_to_be_read_in_one_go():
    lengths = class_lengths()
    assert "session/session.py: Session" in lengths
    assert {name: lines for name, lines in lengths.items() if lines >= LONGEST_CLASS} == {}


def test_no_two_files_of_tests_have_one_name():
    """Folders of tests are no packages, so that pytest would take the second file for the first."""
    files = defaultdict(list)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        files[path.name].append(str(path.parent.name))
    assert {name: folders for name, folders in files.items() if len(folders) > 1 and name != "conftest.py"} == {}
