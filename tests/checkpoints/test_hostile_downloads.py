"""Servers that mean harm, and links laid where a download writes."""

from __future__ import annotations

import hashlib
import os
import random
from typing import TYPE_CHECKING

import pytest
import requests

from napari_sam.checkpoints import importing, weights
from napari_sam.checkpoints.download import DownloadSource, Limits, download, partial_size
from napari_sam.checkpoints.download.partial import note_path
from napari_sam.errors import WeightsError
from napari_sam.files import part_path

if TYPE_CHECKING:
    from pathlib import Path

BODY = random.Random(7).randbytes(300_000)
QUICK = Limits(connect=60.0, stall=60.0, attempts=2, backoff=0.01)


def source(*urls: str, **known: object) -> DownloadSource:
    return DownloadSource("demo", urls, **{"checksum": ("sha256", hashlib.sha256(BODY).hexdigest()), **known})


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "demo.pth"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(b"the person's own")
    return path


def refusal(what: DownloadSource, target: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        download(what, target, limits=QUICK)
    assert not target.exists()
    return str(caught.value)


class TestRedirects:
    @pytest.fixture
    def encrypted(self, server, monkeypatch) -> str:
        """The same server under https: all is real but the encryption."""
        send = requests.adapters.HTTPAdapter.send

        def plainly(adapter, request, *args, **more):
            request.url = request.url.replace("https://", "http://", 1)
            return send(adapter, request, *args, **more)

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", plainly)
        return f"https://127.0.0.1:{server.server_port}"

    def test_from_https_to_https_is_followed(self, server, answers, encrypted, target):
        server.serve("/end", answers.whole(BODY))
        server.serve("/middle", answers.status(307, Location=f"{encrypted}/end"))
        server.serve("/start", answers.status(302, Location="middle"))
        download(source(f"{encrypted}/start"), target, limits=QUICK)
        assert target.read_bytes() == BODY

    def test_from_https_to_http_is_refused_without_asking_there(self, server, answers, encrypted, target):
        open_address = server.serve("/end", answers.whole(BODY))
        server.serve("/start", answers.status(302, Location=open_address))
        message = refusal(source(f"{encrypted}/start"), target)
        assert "without encryption" in message
        assert "offline" not in message
        assert not server.requests["/end"]

    def test_the_next_address_is_tried(self, server, answers, encrypted, target):
        open_address = server.serve("/end", answers.whole(BODY))
        server.serve("/start", answers.status(302, Location=open_address))
        server.serve("/mirror", answers.whole(BODY))
        download(source(f"{encrypted}/start", f"{encrypted}/mirror"), target, limits=QUICK)
        assert target.read_bytes() == BODY

    def test_a_circle_ends(self, server, answers, target):
        url = server.serve("/f", answers.status(302, Location="/f"))
        assert "redirects without end" in refusal(source(url), target)

    @pytest.mark.parametrize(
        "location", ["file:///etc/passwd", "ftp://127.0.0.1/f", "http://[", "http://\xff\xfe/", "http://127.0.0.1:x/"]
    )
    def test_addresses_that_are_none_are_refused(self, server, answers, target, location):
        url = server.serve("/f", answers.status(302, Location=location))
        assert "127.0.0.1: " in refusal(source(url), target)

    def test_the_body_of_a_redirect_is_not_read(self, server, answers, target):
        end = server.serve("/end", answers.whole(BODY))
        sent = []

        def endless(handler):
            handler.start(302, Location=end)
            while not server.release.is_set():
                handler.wfile.write(bytes(1 << 20))
                sent.append(1)

        download(source(server.serve("/f", endless)), target, limits=QUICK)
        assert target.read_bytes() == BODY
        assert len(sent) < 64  # what fits into buffers


class TestSizes:
    def test_endless_answer_is_stopped_where_no_size_is_published(self, server, target):
        def endless(handler):
            handler.start(200)
            while not server.release.is_set():
                handler.wfile.write(BODY)

        message = refusal(source(server.serve("/f", endless), most=1_000_000), target)
        assert "sends more than the 1 MB that a file of its kind has" in message
        assert partial_size(target) == 0

    def test_too_large_an_offer_is_refused_before_it_is_read(self, server, answers, target):
        message = refusal(source(server.serve("/f", answers.whole(BODY)), most=100_000), target)
        assert "offers 300 kB, more than the 100 kB" in message

    def test_a_part_that_is_larger_than_the_file_is_not_gone_on_from(self, server, answers, target):
        part_path(target).write_bytes(bytes(500_000))
        download(source(server.serve("/f", answers.whole(BODY)), size=len(BODY)), target, limits=QUICK)
        assert "Range" not in server.requests["/f"][0]
        assert target.read_bytes() == BODY

    def test_no_row_of_the_registry_is_without_a_bound(self):
        for spec in weights.list_models():
            assert spec.approximate_size <= spec.largest_size <= 6_000_000_000
        assert weights.lookup("vit_t_lm").largest_size < 200_000_000

    def test_the_bound_of_the_row_is_used(self, server, table, monkeypatch, make_checkpoint):
        asked = []
        monkeypatch.setattr(weights.download, "download", lambda what, *_args, **_more: asked.append(what))
        spec = table("demo", "http://127.0.0.1:9/f.pth", sha256="0" * 64)
        weights.target_path(spec).parent.mkdir(parents=True)
        monkeypatch.setattr(weights, "_record", lambda *_: None)
        weights.ensure(spec)
        assert asked[0].bound == spec.largest_size

    @pytest.mark.parametrize("length", ["9" * 5000, "-5", "1e9", "", "٣"])
    def test_lengths_that_are_none_say_nothing(self, server, target, length):
        def answer(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", length) if length.isascii() else None
            handler.end_headers()
            handler.wfile.write(BODY)

        url = server.serve("/f", answer)
        download(source(url), target, limits=QUICK)
        assert target.read_bytes() == BODY

    @pytest.mark.parametrize("span", ["bytes 0-9/" + "9" * 5000, "bytes " + "9" * 5000 + "-9/10", "bytes 0-9/x", "x"])
    def test_ranges_that_are_none_start_over(self, server, answers, target, span):
        def odd(handler):
            handler.start(206, Content_Range=span, Content_Length=len(BODY))
            handler.wfile.write(BODY)

        url = server.serve("/f", odd, answers.whole(BODY))
        download(source(url), target, limits=QUICK)
        assert target.read_bytes() == BODY

    @pytest.mark.parametrize(
        "head", [b"\xff" * 1000, b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500]
    )
    def test_heads_that_are_none_are_told(self, server, target, head):
        url = server.serve("/f", lambda handler: handler.wfile.write(head))
        assert "127.0.0.1: " in refusal(source(url), target)


def test_a_wrong_file_is_not_called_offline(server, answers, target):
    message = refusal(source(server.serve("/f", answers.whole(BODY[::-1]))), target)
    assert "differs from what its authors published" in message
    assert "offline" not in message


class TestLinks:
    """Whoever can write into the folder must not make us write elsewhere."""

    @pytest.mark.parametrize("kind", ["symbolic", "hard"])
    @pytest.mark.parametrize("name", ["demo.pth.part", "demo.pth.part.json", "demo.pth.lock"])
    def test_links_are_replaced_and_not_written_through(self, server, answers, target, victim, kind, name):
        link = target.with_name(name)
        link.symlink_to(victim) if kind == "symbolic" else link.hardlink_to(victim)
        url = server.serve("/f", answers.cut(BODY, 100_000), answers.whole(BODY))
        download(source(url), target, limits=QUICK)
        assert target.read_bytes() == BODY
        assert victim.read_bytes() == b"the person's own"

    def test_a_link_at_the_name_is_replaced(self, server, answers, target, victim):
        target.symlink_to(victim)
        download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK, replace=True)
        assert not target.is_symlink()
        assert target.read_bytes() == BODY
        assert victim.read_bytes() == b"the person's own"

    @pytest.mark.parametrize("name", ["demo.pth", "demo.pth.part", "demo.pth.part.json", "demo.pth.lock"])
    def test_links_to_nothing_make_nothing_elsewhere(self, server, answers, target, tmp_path, name):
        target.with_name(name).symlink_to(tmp_path / "new")
        download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK)
        assert target.read_bytes() == BODY
        assert not target.is_symlink()
        assert not (tmp_path / "new").exists()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")
    @pytest.mark.parametrize("name", ["demo.pth", "demo.pth.part", "demo.pth.part.json", "demo.pth.lock"])
    def test_pipes_do_not_hold_it_up(self, server, answers, target, name):
        os.mkfifo(target.with_name(name))
        download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK)
        assert target.read_bytes() == BODY

    @pytest.mark.parametrize("path", [lambda target: target, part_path, note_path])
    def test_folders_in_the_way_are_told_before_anything_is_fetched(self, server, answers, target, path):
        path(target).mkdir()
        with pytest.raises(WeightsError, match=r"could not be saved|cannot be written"):
            download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK)
        assert path(target).is_dir()

    @pytest.mark.parametrize("name", ["mine.pt", "mine.receipt.json", "mine.pt.PID.tmp"])
    def test_an_import_does_not_write_through_links(self, make_checkpoint, tmp_path, home, victim, monkeypatch, name):
        name = name.replace("PID", str(os.getpid()))
        monkeypatch.setattr(importing, "_check_loads", lambda *_: None)
        (home / "weights").mkdir(parents=True)
        (home / "weights" / name).symlink_to(victim)
        stick = tmp_path / "mine.pt"
        stick.write_bytes(make_checkpoint())
        spec = importing.import_file(stick, "mine")
        assert weights.status(spec) is weights.State.ON_DISK
        assert victim.read_bytes() == b"the person's own"
        assert not (home / "weights" / name).is_symlink()
