from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from labelled_squares import png, squares, write_archive

from napari_sam.checkpoints import download
from napari_sam.errors import Cancelled, InputError, WeightsError
from napari_sam.training.data import bbbc038
from napari_sam.training.data.bbbc038 import archive_path, download_archive, read_archive, split

if TYPE_CHECKING:
    from pathlib import Path

ID = "0123456789abcdef" * 4


def masks() -> dict[str, np.ndarray]:
    """Two squares that overlap, and a third beneath the second; the order of names is that of the letters."""
    shapes = {"b": (5, 25), "a": (15, 35), "c": (16, 20)}
    drawn = {}
    for name, (low, high) in shapes.items():
        drawn[name] = np.zeros((40, 50), np.uint8)
        drawn[name][low:high, low:high] = 255
    return drawn


def original_files(identity: str = ID, root: str = "") -> dict[str, bytes]:
    image = np.full((40, 50, 4), (20, 30, 40, 255), np.uint8)
    files = {f"{root}{identity}/images/{identity}.png": png(image)}
    return files | {f"{root}{identity}/masks/{name}.png": png(mask) for name, mask in masks().items()}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder


class TestOriginalLayout:
    @pytest.fixture(params=["archive", "archive with a folder", "folder"])
    def path(self, request, tmp_path):
        root = "stage1_train/" if request.param == "archive with a folder" else ""
        files = original_files("f" + ID[1:], root) | original_files(ID, root)
        if request.param == "folder":
            return unpacked(files, tmp_path / "data")
        (tmp_path / "a.zip").write_bytes(zipped(files))
        return tmp_path / "a.zip"

    def test_images_and_masks_are_read(self, path):
        images = read_archive(path)
        assert [image.name for image in images] == ["0123456789ab", "f123456789ab"]
        for image in images:
            assert image.image.shape == (40, 50, 3)
            assert image.image[0, 0].tolist() == [20, 30, 40]
            assert image.kind == "stained 40x50"
            assert image.labels.dtype == np.uint16

    def test_shared_pixels_stay_with_the_first_mask(self, path):
        labels = read_archive(path)[0].labels
        drawn = masks()
        assert (labels[drawn["a"] > 0] == 1).all()
        assert (labels[(drawn["b"] > 0) & (drawn["a"] == 0)] == 2).all()
        assert labels.max() == 2  # of the third nothing is left
        assert (labels == 0)[(drawn["a"] == 0) & (drawn["b"] == 0)].all()

    def test_what_macos_adds_is_passed_over(self, tmp_path):
        files = original_files()
        junk = {f"__MACOSX/{ID}/images/._{ID}.png": b"x", f"{ID}/masks/._a.png": b"x", f"{ID}/images/.{ID}.png": b"x"}
        (tmp_path / "a.zip").write_bytes(zipped(files | junk))
        assert len(read_archive(tmp_path / "a.zip")) == 1

    def test_an_image_without_masks_is_left_out(self, tmp_path):
        files = original_files() | {"other/images/other.png": original_files()[f"{ID}/images/{ID}.png"]}
        assert len(read_archive(unpacked(files, tmp_path / "data"))) == 1


class TestOurLayout:
    def test_a_folder_reads_like_the_archive(self, tmp_path):
        image = (squares() * 20).astype(np.uint8)
        archive = write_archive(tmp_path / "a.zip", {"one": image, "two": image}, squares())
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "data")
        for one, other in zip(read_archive(archive), read_archive(tmp_path / "data"), strict=True):
            assert one.name == other.name
            assert (one.image == other.image).all()
            assert (one.labels == squares()).all()
            assert (other.labels == squares()).all()

    def test_names_of_files_are_kept_whole(self, tmp_path):
        archive = write_archive(tmp_path / "a.zip", {ID: np.zeros((120, 120), np.uint8)}, squares())
        assert read_archive(archive)[0].name == ID


def test_both_layouts_are_split_alike(tmp_path):
    image = png(np.zeros((9, 9, 3), np.uint8))
    identities = [f"{n:012d}{'e' * 52}" for n in range(30)]
    ours, original = {}, {}
    for identity in identities:
        ours |= {f"images/{identity[:12]}.png": image, f"labels/{identity[:12]}.png": png(np.eye(9, dtype=np.uint8))}
        original |= {f"{identity}/images/{identity}.png": image, f"{identity}/masks/m.png": png(np.eye(9) > 0)}
    kept = [
        {image.name for image in split(read_archive(unpacked(files, tmp_path / name)))[1]}
        for name, files in (("ours", ours), ("original", original))
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 3


class TestRefusals:
    def test_a_mask_of_another_size(self, tmp_path):
        files = original_files() | {f"{ID}/masks/d.png": png(np.zeros((8, 8), np.uint8))}
        with pytest.raises(InputError, match=r"d\.png and its image differ in size"):
            read_archive(unpacked(files, tmp_path / "data"))

    def test_a_damaged_picture(self, tmp_path):
        files = original_files()
        name = f"{ID}/images/{ID}.png"
        for contents in (b"no picture", files[name][:60]):
            with pytest.raises(InputError, match="cannot be read"):
                read_archive(unpacked(files | {name: contents}, tmp_path / "data"))

    def test_pixels_of_more_than_a_byte(self, tmp_path):
        files = original_files() | {f"{ID}/images/{ID}.png": png(np.zeros((40, 50), np.uint16))}
        with pytest.raises(InputError, match="uint16"):
            read_archive(unpacked(files, tmp_path / "data"))

    def test_nothing_to_read(self, tmp_path):
        with pytest.raises(InputError, match="holds no images"):
            read_archive(tmp_path)
        with pytest.raises(InputError, match="cannot be read"):
            read_archive(tmp_path / "none.zip")


def test_progress_is_told_and_can_cancel(tmp_path):
    folder = unpacked(original_files() | original_files("f" + ID), tmp_path / "data")
    shares = []
    read_archive(folder, shares.append)
    assert shares == [0.5, 1.0]

    def stop(_share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        read_archive(folder, stop)


class TestDownload:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        quick = download.Limits(connect=2.0, stall=2.0, attempts=2, backoff=0.01)
        monkeypatch.setattr(download, "Limits", lambda: quick)

    # Larger than what is read at a time, 64 KiB, or nothing of a part would be kept.
    body = zipped(original_files() | original_files("f" + ID[1:]) | {"more": np.random.default_rng(0).bytes(200_000)})

    def test_it_arrives_in_the_folder_of_the_person(self, server, answers, home):
        url = server.serve("/stage1_train.zip", answers.whole(self.body))
        path = download_archive(url=url, expected=2)
        assert path == archive_path() == home / "data" / "BBBC038" / "stage1_train.zip"
        assert path.read_bytes() == self.body
        download_archive(url=url, expected=2)
        assert len(server.requests["/stage1_train.zip"]) == 1  # it is here now

    def test_one_that_broke_off_goes_on(self, server, answers):
        url = server.serve("/a.zip", answers.cut(self.body, 1 << 17), answers.whole(self.body))
        assert download_archive(url=url, expected=2).read_bytes() == self.body
        assert server.requests["/a.zip"][1]["Range"] == f"bytes={1 << 17}-"

    def test_one_that_was_cancelled_goes_on(self, server, answers):
        url = server.serve("/a.zip", answers.stall(server, self.body, 1 << 17), answers.whole(self.body))

        def stop(share: float) -> None:
            if share > 0:
                raise Cancelled

        with pytest.raises(Cancelled):
            download_archive(stop, url=url, expected=2)
        assert download.partial_size(archive_path()) >= 1 << 16
        assert download_archive(url=url, expected=2).read_bytes() == self.body

    def test_another_archive_is_refused(self, server, answers):
        url = server.serve("/a.zip", answers.whole(self.body))
        with pytest.raises(InputError, match="2 images with masks instead of 670"):
            download_archive(url=url)

    def test_a_cut_archive_is_no_archive(self, server, answers):
        url = server.serve("/a.zip", answers.whole(self.body[:-30]))
        with pytest.raises(WeightsError, match="cut or damaged"):
            download_archive(url=url, expected=2)
        assert not archive_path().exists()

    def test_a_damaged_archive_is_no_archive(self, server, answers):
        damaged = self.body.replace(b"PNG", b"GIF", 1)
        with pytest.raises(WeightsError, match="cut or damaged"):
            download_archive(url=server.serve("/a.zip", answers.whole(damaged)), expected=2)
        assert not archive_path().exists()

    def test_a_server_that_sends_more_than_the_archive_has_is_not_heard_to_the_end(self, server, answers, monkeypatch):
        assert bbbc038.SIZE < bbbc038.MOST < 1_000_000_000
        monkeypatch.setattr(bbbc038, "MOST", 100_000)
        with pytest.raises(WeightsError, match="more than the 100 kB"):
            download_archive(url=server.serve("/a.zip", answers.whole(self.body)), expected=2)
        assert not archive_path().exists()

    def test_advice_is_that_for_data(self, server, answers):
        url = server.serve("/a.zip", answers.status(404))
        with pytest.raises(WeightsError) as caught:
            download_archive(url=url, expected=2)
        assert f"fetch {url} on another machine and give the file with --bbbc038 FILE" in str(caught.value)
        assert "models import" not in str(caught.value)


def test_the_address_is_that_of_the_broad_institute():
    assert bbbc038.URL == "https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip"
    assert bbbc038.EXPECTED == 670
