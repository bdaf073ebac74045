from __future__ import annotations

import shutil

import pytest

from napari_sam.checkpoints.weights import State
from napari_sam.errors import WeightsError
from napari_sam.text import store
from napari_sam.text.models import CLIP_MODELS, DEFAULT


@pytest.fixture
def carried(clip_folder, home):
    """The tiny model as somebody brought it: a folder among the weights."""
    return shutil.copytree(clip_folder, home / "weights" / "brought")


def test_names_of_the_table_and_of_open_clip():
    assert store.lookup(DEFAULT) is CLIP_MODELS[0]
    assert store.lookup("ViT-L-14:datacomp_xl_s13b_b90k").name == "clip-datacomp-large"
    own = store.lookup("ViT-B-16:laion2b_s34b_b88k")
    assert (own.source, own.folder_name) == ("ViT-B-16:laion2b_s34b_b88k", "ViT-B-16--laion2b_s34b_b88k")
    assert store.lookup("hf-hub:lab/tiny").folder_name == "hf-hub--lab--tiny"


def test_the_table_names_weights_that_open_clip_has():
    from open_clip.pretrained import is_pretrained_cfg

    for model in CLIP_MODELS:
        assert model.source.startswith("hf-hub:") or is_pretrained_cfg(*model.source.split(":")), model.name


def test_sizes_of_the_table_are_those_of_the_parameters():
    """Where open_clip has the architecture; on no device, so that they take no memory."""
    import open_clip
    import torch

    for model in CLIP_MODELS:
        if not model.source.startswith("hf-hub:"):
            with torch.device("meta"):
                network = open_clip.CLIP(**open_clip.get_model_config(model.source.partition(":")[0]))
            weighs = 4e-6 * sum(weight.numel() for weight in network.parameters())
            assert weighs == pytest.approx(model.megabytes, rel=0.01), model.name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clip-datacom", r"no text model 'clip-datacom'. Did you mean clip-datacomp\?"),
        ("nonsense", "no text model 'nonsense'. `napari-sam models list`"),
        ("no/such/folder", "There is no folder no/such/folder"),
        (":tag", "no text model"),
        ("ViT-B-16:", "no text model"),
    ],
)
def test_names_that_are_none(name, words):
    with pytest.raises(WeightsError, match=words):
        store.lookup(name)


def test_a_folder_is_a_model_by_its_path_and_among_the_weights_by_its_name(carried, tmp_path, monkeypatch):
    assert store.ensure(store.lookup(str(carried)), offline=True) == carried
    assert store.ensure(store.lookup("brought"), offline=True) == carried
    assert [model.name for model in store.on_disk()] == ["brought"]
    # A name of the table is not a folder that happens to be called so.
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT).mkdir()
    assert store.lookup(DEFAULT) is CLIP_MODELS[0]
    assert store.lookup(f"./{DEFAULT}").source == ""


def test_a_model_of_the_table_that_was_carried_in_is_on_disk(clip_folder, home):
    shutil.copytree(clip_folder, home / "weights" / DEFAULT)
    assert store.status(store.lookup(DEFAULT)) is State.ON_DISK
    assert store.ensure(store.lookup(DEFAULT), offline=True) == home / "weights" / DEFAULT
    assert store.on_disk() == ()


def test_a_folder_that_is_not_whole(carried, tmp_path):
    (carried / "open_clip_model.safetensors").unlink()
    assert store.status(store.lookup("brought")) is State.DAMAGED
    with pytest.raises(WeightsError, match=r"holds no text model.*Copy the whole folder"):
        store.ensure(store.lookup("brought"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="holds no text model"):
        store.ensure(store.lookup(str(tmp_path / "empty")))


def test_verify_sees_a_cut_file(carried):
    model = store.lookup("brought")
    assert "well-formed" in store.verify(model)
    weights = carried / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(WeightsError, match=r"brought .* is damaged: .*napari-sam models remove brought"):
        store.verify(model)


def test_remove_frees_what_is_among_the_weights_and_nothing_else(carried, clip_folder):
    size = sum(path.stat().st_size for path in carried.iterdir())
    assert store.remove(store.lookup("brought")) == size
    assert not carried.exists()
    assert store.remove(store.lookup(DEFAULT)) == 0
    with pytest.raises(WeightsError, match="Delete it by hand"):
        store.remove(store.lookup(str(clip_folder)))
    assert clip_folder.is_dir()


def test_remove_of_a_link_leaves_what_it_leads_to(clip_folder, home):
    (home / "weights").mkdir(parents=True)
    (home / "weights" / "linked").symlink_to(clip_folder, target_is_directory=True)
    store.remove(store.lookup("linked"))
    assert not (home / "weights" / "linked").exists()
    assert (clip_folder / "open_clip_config.json").is_file()


def test_verify_of_what_is_not_here_says_how_to_bring_it():
    with pytest.raises(WeightsError, match=r"clip-biomed is not on this machine\. On a machine with a network"):
        store.verify(store.lookup("clip-biomed"))


def test_a_model_has_one_name_wherever_its_folder_lies(tmp_path, carried, clip_folder, monkeypatch):
    assert store.identity(store.lookup(DEFAULT)) == (DEFAULT, store.lookup(DEFAULT).source)
    assert store.identity(store.lookup("hf-hub:a/b")) == ("hf-hub--a--b", "hf-hub:a/b")
    assert store.identity(store.lookup("brought")) == ("brought", "")
    for name, known in (("tiny", ""), (DEFAULT, store.lookup(DEFAULT).source), ("hf-hub--a--b", "")):
        folder = tmp_path / "stick" / name
        folder.mkdir(parents=True)
        assert store.identity(store.lookup(str(folder))) == (name, known)
        monkeypatch.chdir(folder)
        assert store.identity(store.lookup(".")) == (name, known)
