from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
import xxhash

from napari_sam.checkpoints import importing, receipts, weights
from napari_sam.checkpoints.container import container_problem
from napari_sam.checkpoints.download import Limits
from napari_sam.checkpoints.registry import get_model, list_models
from napari_sam.checkpoints.weights import State
from napari_sam.errors import Cancelled, WeightsError

QUICK = Limits(connect=60.0, stall=60.0, attempts=1, backoff=0.0)


def put(spec, body: bytes) -> Path:
    """Lay a file into the folder by hand."""
    path = weights.target_path(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


@pytest.fixture
def packaged(tmp_path, monkeypatch, make_checkpoint) -> Path:
    """A package whose bundled file and card are ours to break."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(weights, "_PACKAGED", folder)
    body = make_checkpoint()
    (folder / "bundled.safetensors").write_bytes(body)
    (folder / "bundled.json").write_text(json.dumps({"sha256": hashlib.sha256(body).hexdigest()}))
    return folder


@pytest.fixture
def loads(monkeypatch):
    """Stand in for the loader, which has tests of its own; returns what it was asked for."""
    import napari_sam.checkpoints.loading as module

    asked: list[str | None] = []

    def load(path, *, architecture=None, device="cpu", progress=None):
        asked.append(architecture)
        if b"unusable" in Path(path).read_bytes():
            raise WeightsError("of no known layout")

    monkeypatch.setattr(module, "load_checkpoint", load)
    return asked


def test_weights_lie_in_the_home(home):
    assert receipts.weights_folder() == home / "weights"


class TestStatus:
    def test_nothing_is_there_and_nothing_is_made(self, home):
        assert {weights.status(spec) for spec in list_models() if not spec.bundled} == {State.TO_DOWNLOAD}
        assert not home.exists()

    def test_right_size(self, table, make_checkpoint):
        spec = table(body=make_checkpoint())
        path = put(spec, make_checkpoint())
        assert weights.status(spec) is State.ON_DISK
        assert weights.find(spec) == path

    def test_cut_file_is_damaged(self, table, make_checkpoint):
        spec = table(body=make_checkpoint())
        put(spec, make_checkpoint()[:-1])
        assert weights.status(spec) is State.DAMAGED

    def test_size_of_the_receipt_where_none_is_published(self, table, server, answers, make_checkpoint):
        body = make_checkpoint()
        spec = table("demo", server.serve("/f.pth", answers.whole(body)), xxh128=xxhash.xxh128(body).hexdigest())
        weights.ensure(spec, limits=QUICK)
        assert weights.status(spec) is State.ON_DISK
        put(spec, body[:-1])
        assert weights.status(spec) is State.DAMAGED

    def test_bundled(self, packaged):
        spec = get_model("bundled")
        assert weights.status(spec) is State.BUNDLED
        (packaged / "bundled.safetensors").unlink()
        assert weights.status(spec) is State.DAMAGED


class TestVerify:
    def test_right_and_wrong(self, table, make_checkpoint):
        spec = table(body=make_checkpoint(1))
        put(spec, make_checkpoint(1))
        assert weights.verify(spec) == "sha256 as published"
        put(spec, make_checkpoint(2))
        with pytest.raises(WeightsError, match=r"damaged: its sha256.*napari-sam models download demo"):
            weights.verify(spec)

    def test_missing(self, table):
        with pytest.raises(WeightsError, match="napari-sam models download demo"):
            weights.verify(table())

    def test_missing_bundled_file_is_not_to_be_downloaded(self, packaged):
        (packaged / "bundled.safetensors").unlink()
        with pytest.raises(WeightsError, match=r"it is missing\. Reinstall"):
            weights.verify(get_model("bundled"))

    def test_xxh128_is_used_where_nothing_else_is_published(self, table, make_checkpoint):
        spec = table(xxh128=xxhash.xxh128(make_checkpoint()).hexdigest())
        put(spec, make_checkpoint())
        assert weights.verify(spec) == "xxh128 as published"

    def test_no_checksum_anywhere_falls_back_on_the_form(self, table, make_checkpoint):
        spec = table()
        path = put(spec, make_checkpoint())
        assert "well-formed" in weights.verify(spec)
        body = bytearray(path.read_bytes())
        body[500] ^= 1
        path.write_bytes(body)
        with pytest.raises(WeightsError, match="damaged"):
            weights.verify(spec)

    def test_receipt_stands_in_for_a_published_checksum(self, table, server, answers, make_checkpoint):
        body = make_checkpoint(1)
        spec = table("demo", server.serve("/f.pth", answers.whole(body)))
        weights.ensure(spec, limits=QUICK)
        assert "sha256 of the day" in weights.verify(spec)
        put(spec, make_checkpoint(2))
        with pytest.raises(WeightsError, match="sha256 checksum differs"):
            weights.verify(spec)

    def test_bundled_against_its_card(self, packaged, make_checkpoint):
        spec = get_model("bundled")
        assert "card" in weights.verify(spec)
        (packaged / "bundled.safetensors").write_bytes(make_checkpoint(5))
        with pytest.raises(WeightsError, match="Reinstall"):
            weights.verify(spec)
        (packaged / "bundled.json").unlink()
        with pytest.raises(WeightsError, match=r"card.*Reinstall"):
            weights.verify(spec)

    def test_can_be_cancelled(self, table, make_checkpoint):
        spec = table(body=make_checkpoint())
        put(spec, make_checkpoint())

        def cancel(_fraction: float) -> None:
            raise Cancelled("enough")

        with pytest.raises(Cancelled):
            weights.verify(spec, cancel)


class TestEnsure:
    def test_downloads_once_then_works_offline(self, table, server, answers, make_checkpoint):
        body = make_checkpoint()
        spec = table("demo", server.serve("/f.pth", answers.whole(body)), body=body)
        path = weights.ensure(spec, limits=QUICK)
        assert path.read_bytes() == body
        server.serve("/f.pth", answers.status(500))
        assert weights.ensure(spec, limits=QUICK) == path
        assert len(server.requests["/f.pth"]) == 1

    @pytest.mark.parametrize("rot", ["cut", "flipped"])
    def test_damaged_file_is_replaced(self, table, server, answers, make_checkpoint, rot):
        body = make_checkpoint(1)
        spec = table("demo", server.serve("/f.pth", answers.whole(body)), body=body)
        put(spec, body[:-5] if rot == "cut" else make_checkpoint(2))
        assert weights.ensure(spec, limits=QUICK).read_bytes() == body

    def test_damaged_file_stays_when_it_cannot_be_replaced(self, table, make_checkpoint):
        spec = table(body=make_checkpoint(1))
        path = put(spec, make_checkpoint(2))
        with pytest.raises(WeightsError, match="Could not download"):
            weights.ensure(spec, limits=QUICK)
        assert path.read_bytes() == make_checkpoint(2)

    def test_file_laid_there_by_hand_is_read_once(self, table, make_checkpoint, monkeypatch):
        spec = table(body=make_checkpoint())
        path = put(spec, make_checkpoint())
        assert weights.ensure(spec) == path
        monkeypatch.setattr(weights, "verify", lambda *_: pytest.fail("read twice"))
        assert weights.ensure(spec) == path

    def test_folder_of_an_administrator_serves_without_receipts(self, table, make_checkpoint, monkeypatch):
        spec = table(body=make_checkpoint())
        path = put(spec, make_checkpoint())

        def forbidden(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "write_text", forbidden)
        assert weights.ensure(spec) == path

    def test_bundled_needs_no_folder(self, packaged, home):
        assert weights.ensure(get_model("bundled")) == packaged / "bundled.safetensors"
        assert not home.exists()

    def test_bundled_that_is_gone_says_reinstall(self, packaged):
        (packaged / "bundled.safetensors").unlink()
        with pytest.raises(WeightsError, match="Reinstall"):
            weights.ensure(get_model("bundled"))


class TestResolve:
    def test_name_is_downloaded(self, table, server, answers, make_checkpoint):
        body = make_checkpoint()
        spec = table("demo", server.serve("/f.pth", answers.whole(body)), body=body)
        seen: list[float] = []
        assert weights.resolve("demo", seen.append) == (weights.target_path(spec), spec)
        assert seen[-1] == 1.0

    def test_path_of_a_published_file_is_recognised(self, table, make_checkpoint, tmp_path):
        spec = table(body=make_checkpoint())
        path = tmp_path / "renamed.pth"
        path.write_bytes(make_checkpoint())
        assert weights.resolve(path) == (path, spec)
        assert weights.resolve(str(path)) == (path, spec)

    def test_same_size_is_not_enough(self, table, make_checkpoint, tmp_path):
        table(body=make_checkpoint(1))
        path = tmp_path / "mine.pth"
        path.write_bytes(make_checkpoint(2))
        assert weights.resolve(path) == (path, None)

    def test_missing_path(self, tmp_path):
        with pytest.raises(WeightsError, match="There is no file"):
            weights.resolve(tmp_path / "none")
        with pytest.raises(WeightsError, match="There is no file"):
            weights.resolve("none.pth")

    def test_mistyped_name(self):
        with pytest.raises(WeightsError, match="Did you mean mobile_sam"):
            weights.resolve("mobile_sm")


class TestImport:
    def test_published_file_is_recognised_and_gets_its_name(self, table, make_checkpoint, tmp_path, loads):
        spec = table(body=make_checkpoint())
        stick = tmp_path / "some download (1).pth"
        stick.write_bytes(make_checkpoint())
        assert importing.import_file(stick) == spec
        assert weights.status(spec) is State.ON_DISK
        assert weights.target_path(spec).read_bytes() == make_checkpoint()
        assert not loads  # its checksum says all there is to know
        assert receipts.read_receipt("demo").source == "some download (1).pth"

    def test_published_by_xxh128_only(self, table, make_checkpoint, tmp_path):
        spec = table(xxh128=xxhash.xxh128(make_checkpoint()).hexdigest())
        stick = tmp_path / "vit_b.pt"
        stick.write_bytes(make_checkpoint())
        assert importing.import_file(stick) == spec

    def test_unknown_file_needs_a_name(self, make_checkpoint, tmp_path, loads, home):
        stick = tmp_path / "mine.pt"
        stick.write_bytes(make_checkpoint())
        with pytest.raises(WeightsError, match="--name NAME"):
            importing.import_file(stick)
        assert not home.exists()

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("mine.pt", "mine"),
            ("my cells (2).pth", "my-cells-2"),
            ("../Zellkerne größer.safetensors", "Zellkerne-gr-er"),
            ("....pt", "checkpoint"),
            ("demo.pth", "demo-2"),  # the published one is another file
            ("x" * 90 + ".pt", "x" * 56),
        ],
    )
    def test_unknown_file_may_be_called_after_itself(self, table, make_checkpoint, tmp_path, loads, file, name):
        table(body=make_checkpoint(1))
        stick = tmp_path / Path(file).name
        stick.write_bytes(make_checkpoint(2))
        assert importing.import_file(stick, after_file=True).name == name
        assert importing.import_file(stick, after_file=True).name == name  # the same file again
        stick.write_bytes(make_checkpoint(3))
        other = importing.import_file(stick, after_file=True).name
        assert other != name and other.startswith(name.removesuffix("-2"))

    def test_published_file_keeps_its_name_all_the_same(self, table, make_checkpoint, tmp_path):
        spec = table(body=make_checkpoint())
        (tmp_path / "other.pth").write_bytes(make_checkpoint())
        assert importing.import_file(tmp_path / "other.pth", after_file=True) == spec

    def test_unknown_file_with_a_name_is_checked_listed_and_used(self, make_checkpoint, tmp_path, loads):
        stick = tmp_path / "mine.safetensors.pt"
        stick.write_bytes(make_checkpoint())
        spec = importing.import_file(stick, "my-cells", "medsam_vit_b")
        assert loads == ["medsam_vit_b"]
        assert (spec.name, spec.architecture, spec.urls) == ("my-cells", "medsam_vit_b", ())
        assert weights.imported() == (spec,)
        assert weights.status(spec) is State.ON_DISK
        path, resolved = weights.resolve("my-cells")
        assert resolved == spec
        assert path.name == "my-cells.pt"
        assert "came from mine.safetensors.pt" in weights.verify(spec)
        path.write_bytes(make_checkpoint(9))
        with pytest.raises(WeightsError, match=r"differs\. Import it again"):
            weights.verify(spec)

    def test_name_of_a_file_that_a_terminal_would_obey_is_not_kept(self, make_checkpoint, tmp_path, loads):
        stick = tmp_path / "mine\x1b[31m.pt"
        stick.write_bytes(make_checkpoint())
        assert importing.import_file(stick, "mine").use_for == "Imported from mine?[31m.pt."

    def test_compressed_file_is_refused_before_it_is_unpacked(self, tmp_path, loads, home):
        with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(10_000_000))
        with pytest.raises(WeightsError, match="cannot be imported: its parts are compressed"):
            importing.import_file(tmp_path / "bomb.pt", "bomb")
        assert not home.exists()

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.4])
    def test_every_step_can_be_cancelled(self, tmp_path, home, share):
        import torch

        torch.save({"layer": torch.zeros(1_000_000)}, tmp_path / "mine.pt")

        def cancel(fraction: float) -> None:
            if fraction > share:
                raise Cancelled("enough")

        with pytest.raises(Cancelled if share < 0.3 else WeightsError):
            importing.import_file(tmp_path / "mine.pt", "mine", progress=cancel)
        assert not home.exists()

    def test_unusable_file_is_refused_before_it_is_copied(self, tmp_path, loads, home):
        stick = tmp_path / "mine.pt"
        stick.write_bytes(b"\x80\x02unusable")
        with pytest.raises(WeightsError, match="no known layout"):
            importing.import_file(stick, "mine")
        assert not home.exists()

    def test_loader_itself_decides_what_is_usable(self, tmp_path, home):
        import torch

        torch.save({"layer.weight": torch.ones(3)}, tmp_path / "other.pt")
        with pytest.raises(WeightsError, match=r"other\.pt|layout"):
            importing.import_file(tmp_path / "other.pt", "other")
        assert not home.exists()

    def test_wrong_file_for_a_published_name_is_refused(self, table, make_checkpoint, tmp_path, loads):
        table(body=make_checkpoint(1))
        stick = tmp_path / "demo.pth"
        stick.write_bytes(make_checkpoint(2))
        with pytest.raises(WeightsError, match=r"is not demo: its checksum differs"):
            importing.import_file(stick, "demo")

    @pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "x" * 65, "sp ace"])
    def test_names_cannot_leave_the_folder(self, make_checkpoint, tmp_path, loads, name):
        stick = tmp_path / "mine.pt"
        stick.write_bytes(make_checkpoint())
        with pytest.raises(WeightsError, match="cannot be a model's name"):
            importing.import_file(stick, name)

    def test_web_page_and_missing_file(self, tmp_path):
        page = tmp_path / "sam.pth"
        page.write_text("<!DOCTYPE html><p>log in")
        with pytest.raises(WeightsError, match="web page"):
            importing.import_file(page, "page")
        with pytest.raises(WeightsError, match="There is no file"):
            importing.import_file(tmp_path / "none.pth")

    def test_unknown_architecture_names_the_known(self, make_checkpoint, tmp_path):
        stick = tmp_path / "mine.pt"
        stick.write_bytes(make_checkpoint())
        with pytest.raises(WeightsError, match="medsam_vit_b"):
            importing.import_file(stick, "mine", "resnet")

    def test_file_in_the_folder_already(self, table, make_checkpoint):
        spec = table(body=make_checkpoint())
        path = put(spec, make_checkpoint())
        assert importing.import_file(path) == spec
        assert path.read_bytes() == make_checkpoint()

    def test_cancel_leaves_nothing(self, table, make_checkpoint, tmp_path, home):
        spec = table(body=make_checkpoint())
        stick = tmp_path / "demo.pth"
        stick.write_bytes(make_checkpoint())

        def cancel_while_copying(fraction: float) -> None:
            if fraction > 0.5:
                raise Cancelled("enough")

        with pytest.raises(Cancelled):
            importing.import_file(stick, progress=cancel_while_copying)
        assert weights.status(spec) is State.TO_DOWNLOAD
        assert list((home / "weights").iterdir()) == []


class TestRemove:
    def test_file_receipt_and_part_go(self, table, make_checkpoint, tmp_path, home):
        spec = table(body=make_checkpoint())
        stick = tmp_path / "demo.pth"
        stick.write_bytes(make_checkpoint())
        importing.import_file(stick)
        part = weights.target_path(spec).with_name("demo.pth.part")
        part.write_bytes(b"12345")
        assert weights.partial_size(spec) == 5
        assert weights.remove(spec) == len(make_checkpoint()) + 5
        assert list((home / "weights").iterdir()) == []
        assert weights.status(spec) is State.TO_DOWNLOAD
        assert weights.remove(spec) == 0

    def test_downloaded_file_leaves_nothing(self, table, server, answers, make_checkpoint, home):
        body = make_checkpoint()
        spec = table("demo", server.serve("/f.pth", answers.whole(body)), body=body)
        weights.ensure(spec, limits=QUICK)
        assert weights.remove(spec) == len(body)
        assert list((home / "weights").iterdir()) == []

    @pytest.mark.parametrize("name", ["demo.pth", "demo.pth.part", "demo.receipt.json"])
    def test_what_cannot_be_deleted_is_told(self, table, home, name):
        spec = table()
        (home / "weights" / name).mkdir(parents=True)
        assert weights.partial_size(spec) == 0
        with pytest.raises(WeightsError, match=rf"{name} cannot be deleted: .*Delete it by hand"):
            weights.remove(spec)

    def test_bundled_stays(self, packaged):
        with pytest.raises(WeightsError, match="part of the package"):
            weights.remove(get_model("bundled"))
        assert (packaged / "bundled.safetensors").exists()


@pytest.mark.parametrize(
    "receipt",
    [
        "not json",
        "[]",
        '{"name": "x"}',
        '{"name": "x", "file": "../../elsewhere", "size": 1, "sha256": "", "architecture": null, "source": ""}',
        '{"name": "x", "file": "..", "size": 1, "sha256": "", "architecture": null, "source": ""}',
        '{"name": "x", "file": "x.pt", "size": "1", "sha256": "", "architecture": null, "source": ""}',
        '{"name": "x", "file": "x.pt", "size": 1, "sha256": "", "architecture": {}, "source": []}',
        '{"name": "x", "file": "x.pt", "size": 1, "sha256": "", "architecture": null, "source": "\\u001b[31m"}',
        "[" * 100_000,
        "9" * 5_000,
    ],
    ids=range(10),
)
def test_broken_receipt_counts_as_none(home, receipt):
    folder = home / "weights"
    folder.mkdir(parents=True)
    (folder / "x.receipt.json").write_text(receipt)
    assert receipts.read_receipt("x") is None
    assert weights.imported() == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
def test_receipt_that_is_a_pipe_counts_as_none(home):
    folder = home / "weights"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "x.receipt.json")
    assert weights.imported() == ()


class TestContainer:
    def write(self, tmp_path, body: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(body)
        return path

    def test_torch_and_safetensors_files_pass(self, tmp_path):
        import torch
        from safetensors.torch import save_file

        tensors = {"a": torch.arange(5.0), "b": torch.zeros(2, 3)}
        torch.save(tensors, tmp_path / "new")
        torch.save(tensors, tmp_path / "old", _use_new_zipfile_serialization=False)
        save_file(tensors, tmp_path / "safe", metadata={"k": "v"})
        assert [container_problem(tmp_path / name) for name in ("new", "old", "safe")] == [None, None, None]

    def test_cut_files_do_not(self, tmp_path, make_checkpoint):
        from safetensors.torch import save
        from torch import ones

        assert "cut" in container_problem(self.write(tmp_path, make_checkpoint()[:-30]))
        assert "cut" in container_problem(self.write(tmp_path, save({"a": ones(100)})[:-4]))

    @pytest.mark.parametrize("body", [b"", b"GIF89a" + bytes(100), b"\x08\0\0\0\0\0\0\0{not js}"])
    def test_other_files_do_not(self, tmp_path, body):
        assert container_problem(self.write(tmp_path, body)) is not None
