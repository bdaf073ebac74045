from __future__ import annotations

import hashlib
import json
import socket
from typing import TYPE_CHECKING

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import constants

from napari_sam.checkpoints import download
from napari_sam.checkpoints.weights import State
from napari_sam.errors import Cancelled, WeightsError
from napari_sam.text import store
from napari_sam.text.encoder import load_encoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopback import Server


class Hub:
    """A hub of repositories on the loopback server, which counts what is asked."""

    def __init__(self, server: Server, answers) -> None:
        self.server, self.answers = server, answers

    def add(self, name: str, files: dict[str, bytes], **special: Callable) -> None:
        siblings = [
            {
                "rfilename": file,
                "size": len(body),
                "blobId": "0",
                "lfs": {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "pointerSize": 1},
            }
            for file, body in files.items()
        ]
        answer = json.dumps({"id": name, "siblings": siblings}).encode()
        self.server.serve(f"/api/models/{name}?blobs=true", self.answers.whole(answer))
        for file, body in files.items():
            self.server.serve(f"/{name}/resolve/main/{file}", special.get("weights", self.answers.whole)(body))

    @property
    def asked(self) -> list[str]:
        return [path for path, requests in self.server.requests.items() for _ in requests]


@pytest.fixture
def hub(server, answers, monkeypatch):
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + template[template.index("/{repo_id}") :])
    quick = download.Limits(connect=60.0, stall=60.0, attempts=1, backoff=0.0)
    monkeypatch.setattr(download, "Limits", lambda: quick)
    yield Hub(server, answers)
    huggingface_hub.close_session()


@pytest.fixture
def files(clip_folder) -> dict[str, bytes]:
    """What the hub has of the tiny model."""
    return {path.name: path.read_bytes() for path in clip_folder.iterdir()}


def test_a_model_of_the_hub_becomes_a_folder_that_works_anywhere(hub, files, home: Path, tmp_path, monkeypatch):
    hub.add("lab/tiny", {**files, "README.md": b"words", "open_clip_pytorch_model.bin": b"not needed"})
    shares = []
    model = store.lookup("hf-hub:lab/tiny")
    assert store.status(model) is State.TO_DOWNLOAD
    folder = store.ensure(model, shares.append)
    assert folder == home / "weights" / "hf-hub--lab--tiny"
    assert store.status(model) is State.ON_DISK
    assert shares[-1] == 1
    assert not any(name.endswith((".bin", "README.md")) for name in hub.asked)
    carried = folder.rename(tmp_path / "stick")
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert load_encoder(str(carried), "cpu").encode_images([np.zeros((9, 9, 3), np.uint8)]).shape == (1, 16)


def test_what_is_on_disk_is_not_asked_for_again(hub, files):
    hub.add("lab/tiny", files)
    model = store.lookup("hf-hub:lab/tiny")
    store.ensure(model)
    hub.server.requests.clear()
    load_encoder("hf-hub:lab/tiny", "cpu")
    assert hub.asked == []


def test_a_model_of_open_clips_table_gets_its_configuration_from_there(hub, files, monkeypatch):
    import open_clip.factory
    import open_clip.pretrained

    config = json.loads(files["open_clip_config.json"])["model_cfg"]
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Tiny", config)
    known = {"hf_hub": "lab/table/", "mean": (0.1, 0.2, 0.3), "std": (1, 1, 1), "quick_gelu": True, "url": ""}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "Tiny", {"colours": known})
    hub.add("lab/table", {"open_clip_model.safetensors": files["open_clip_model.safetensors"]})
    folder = store.ensure(store.lookup("Tiny:colours"))
    written = json.loads((folder / "open_clip_config.json").read_text())
    assert written["preprocess_cfg"] == {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}
    assert written["model_cfg"] == {**config, "quick_gelu": True}
    loaded = load_encoder("Tiny:colours", "cpu")
    assert loaded._model.visual.preprocess_cfg["mean"] == [0.1, 0.2, 0.3]


def test_one_file_of_several_in_a_repository(hub, files, monkeypatch):
    import open_clip.factory
    import open_clip.pretrained

    monkeypatch.setitem(
        open_clip.factory._MODEL_CONFIGS, "Tiny", json.loads(files["open_clip_config.json"])["model_cfg"]
    )
    monkeypatch.setitem(
        open_clip.pretrained._PRETRAINED,
        "Tiny",
        {"one": {"hf_hub": "lab/many/one.pt"}, "two": {"hf_hub": "lab/many/x.pt"}},
    )
    safe = files["open_clip_model.safetensors"]
    hub.add("lab/many", {"one.safetensors": safe, "one.pt": b"", "open_clip_model.safetensors": b"another"})
    folder = store.ensure(store.lookup("Tiny:one"))
    assert (folder / "open_clip_model.safetensors").read_bytes() == safe
    with pytest.raises(WeightsError, match=r"has no file x\.pt any more"):
        store.ensure(store.lookup("Tiny:two"))
    with pytest.raises(WeightsError, match=r"no weights 'Tiny:three'. It has one, two"):
        store.ensure(store.lookup("Tiny:three"))


def test_a_text_tower_brings_its_configuration_and_its_tokenizer(hub, files):
    config = json.loads(files["open_clip_config.json"])
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": "lab/tower", "hf_tokenizer_name": "lab/tower"}
    hub.add("lab/tiny", {**files, "open_clip_config.json": json.dumps(config).encode(), "config.json": b"another's"})
    hub.add("lab/tower", {"config.json": b"the tower's", "vocab.txt": b"[PAD]", "model.safetensors": b"large"})
    folder = store.ensure(store.lookup("hf-hub:lab/tiny"))
    assert (folder / "config.json").read_bytes() == b"the tower's"
    assert (folder / "vocab.txt").read_bytes() == b"[PAD]"
    assert not (folder / "model.safetensors").exists()
    assert "/lab/tiny/resolve/main/config.json" not in hub.asked
    assert json.loads((folder / "open_clip_config.json").read_text()) == config


def test_a_tokenizer_that_the_model_has_itself_wins(hub, files):
    config = json.loads(files["open_clip_config.json"])
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "lab/elsewhere"
    own = {"open_clip_config.json": json.dumps(config).encode(), "tokenizer.json": b"{}"}
    hub.add("lab/tiny", {**files, **own})
    folder = store.ensure(store.lookup("hf-hub:lab/tiny"))
    assert (folder / "tokenizer.json").read_bytes() == b"{}"
    assert not any("elsewhere" in path for path in hub.asked)


def test_a_download_that_is_cancelled_goes_on_where_it_was(hub, files, server, answers):
    large = files["open_clip_model.safetensors"]
    hub.add("lab/tiny", files)
    path = "/lab/tiny/resolve/main/open_clip_model.safetensors"
    server.serve(path, answers.stall(server, large, 300_000), answers.whole(large))
    model = store.lookup("hf-hub:lab/tiny")

    def stop(share):
        if share > 0:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        store.ensure(model, stop)
    kept = store.partial_size(model)
    assert 0 < kept <= 300_000
    assert store.status(model) is State.TO_DOWNLOAD
    folder = store.ensure(model)
    assert server.requests[path][1]["Range"] == f"bytes={kept}-"
    assert (folder / "open_clip_model.safetensors").read_bytes() == large
    assert store.partial_size(model) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_weights_that_differ_from_their_checksum_are_not_taken(hub, files, server, answers):
    hub.add("lab/tiny", files)
    wrong = bytes(len(files["open_clip_model.safetensors"]))
    server.serve("/lab/tiny/resolve/main/open_clip_model.safetensors", answers.whole(wrong))
    model = store.lookup("hf-hub:lab/tiny")
    with pytest.raises(WeightsError, match="another sha256 checksum"):
        store.ensure(model)
    assert store.status(model) is State.TO_DOWNLOAD


def test_no_network_says_how_to_bring_the_model_in(hub, server, home):
    server.serve("/api/models/laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K?blobs=true", hub.answers.status(503))
    for offline in (False, True):
        with pytest.raises(WeightsError) as raised:
            load_encoder("clip-datacomp", "cpu", offline=offline)
        words = str(raised.value)
        assert "run `napari-sam models download clip-datacomp` and copy the folder" in words
        assert f"to {home / 'weights' / 'clip-datacomp'} here" in words
        assert "`--text-model FOLDER`" in words
    assert len(hub.asked) == 1  # offline, nobody was asked


def test_a_file_that_cannot_be_had_gives_the_same_advice(hub, files, server, answers):
    hub.add("lab/tiny", files)
    server.serve("/lab/tiny/resolve/main/open_clip_model.safetensors", answers.status(403))
    with pytest.raises(WeightsError, match=r"napari-sam models download hf-hub:lab/tiny") as raised:
        store.ensure(store.lookup("hf-hub:lab/tiny"))
    assert "models import" not in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"open_clip_config.json": None}, "is no model of open_clip"),
        ({"open_clip_config.json": b"{"}, "cannot be read"),
        ({"open_clip_config.json": b"[1]"}, "has no model_cfg"),
        ({"open_clip_model.safetensors": None}, "holds no weights that open_clip reads"),
    ],
)
def test_repositories_that_hold_something_else(hub, files, changed, words):
    hub.add("lab/tiny", {name: body for name, body in {**files, **changed}.items() if body is not None})
    with pytest.raises(WeightsError, match=words):
        store.ensure(store.lookup("hf-hub:lab/tiny"))
