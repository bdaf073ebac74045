"""The documents agree with the code, and their links lead somewhere."""

from __future__ import annotations

import importlib
import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_lead_to_files(document: Path):
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not broken


def test_tables_taken_from_the_code_are_up_to_date():
    script = runpy.run_path(str(ROOT / "scripts" / "update_docs.py"))
    tables = {"models": script["models_table"](), "keys": script["keys_table"]()}
    for name in script["FILES"]:
        text = (ROOT / name).read_text()
        assert script["refresh"](text, tables) == text, f"{name} is out of date: run python scripts/update_docs.py"
        assert any(table in text for table in tables.values()), f"{name} has no table any more"


def test_the_manifest_has_the_commands_of_all_actions():
    from napari_sam.session.actions import ACTIONS

    script = runpy.run_path(str(ROOT / "scripts" / "update_docs.py"))
    text = (ROOT / script["MANIFEST"]).read_text(encoding="utf-8")
    assert script["refresh_manifest"](text) == text, "out of date: run python scripts/update_docs.py"
    assert text.count("napari_sam.widgets.palette:") == len(ACTIONS)


def test_refresh_replaces_what_stands_between_the_marks():
    script = runpy.run_path(str(ROOT / "scripts" / "update_docs.py"))
    text = "before\n<!-- begin keys -->\nold\n<!-- end keys -->\nafter"
    assert script["refresh"](text, {"keys": "| new |"}) == (
        "before\n<!-- begin keys -->\n\n| new |\n\n<!-- end keys -->\nafter"
    )


def test_models_recommended_by_the_documents_exist():
    from napari_sam import list_models

    names = {model.name for model in list_models()}
    advice = (ROOT / "docs" / "models.md").read_text().partition("## Which one?")[2].partition("## The bundled")[0]
    recommended = set(re.findall(r"`(\w+)`", advice))
    assert recommended and recommended <= names


def test_rooms_named_by_contributing_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    source = ROOT / "src" / "napari_sam"
    rooms = "|".join(path.name for path in source.iterdir() if path.is_dir() and not path.name.startswith("_"))
    named = set(re.findall(rf"`((?:{rooms}|prompts)[\w/.]*)`", text))
    assert "checkpoints/registry.py" in named
    missing = [name for name in named if not (source / name).exists()]
    assert not missing


def test_the_house_of_contributing_is_the_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [set(layer.split(" | ")) for layer in next(c for c in contracts if c["id"] == "layers")["layers"]]
    house = (ROOT / "CONTRIBUTING.md").read_text().partition("## The house")[2].partition("```text\n")[2]
    # Names end where the words on them begin, three blanks or more after the last.
    named = [
        set(re.split(r"\s{3,}", line)[0].replace("/", "").split()) for line in house.partition("```")[0].splitlines()
    ]
    assert named == layers


def test_what_the_documents_import_is_there():
    text = "\n".join(path.read_text() for path in DOCUMENTS if path.name != "CHANGELOG.md")
    lines = re.findall(r"^from (napari_sam[\w.]*) import ([\w, ]+)$", text, re.MULTILINE)
    assert len(lines) > 3
    missing = [
        f"{module}.{name.strip()}"
        for module, names in lines
        for name in names.split(",")
        if not hasattr(importlib.import_module(module), name.strip())
    ]
    assert not missing


def test_commands_and_options_of_the_documents_exist():
    import typer

    from napari_sam.cli import app

    root = typer.main.get_command(app)
    lines = re.findall(r"^napari-sam .*$", "\n".join(path.read_text() for path in DOCUMENTS), re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        command, words = root, line.partition("#")[0].split()[1:]
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        known = {"--help"}.union(*(parameter.opts for parameter in command.params))
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, line


def test_options_explained_for_segment_are_all_there_are():
    import typer

    from napari_sam.cli import app

    segment = typer.main.get_command(app).commands["segment"]
    real = {option for parameter in segment.params for option in parameter.opts if option.startswith("--")}
    section = (ROOT / "docs" / "cli.md").read_text().partition("## segment")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `(?:-\w`, `)?(--[\w-]+)", section, re.MULTILINE))
    assert explained == real - {"--help", "--debug"}


def test_the_picture_of_the_layers_is_what_the_contracts_say():
    script = runpy.run_path(str(ROOT / "scripts" / "draw_layers.py"))
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert script["PICTURE"].read_text() == script["draw"](pyproject), "run python scripts/draw_layers.py"
    assert len(script["contracts"](pyproject)) == sum(
        len(contract["containers"])
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if "layers" in contract
    )


def test_modules_named_by_how_it_works_exist():
    text = (ROOT / "docs" / "how-it-works.md").read_text()
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text)) - {"src/napari_sam/"}
    assert "session/candidates/live.py" in named
    missing = [
        name for name in named if not (ROOT / name).exists() and not (ROOT / "src" / "napari_sam" / name).exists()
    ]
    assert not missing
