from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import shutil
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
import xxhash

from napari_sam.checkpoints import download as download_module
from napari_sam.checkpoints.download import DownloadSource, Limits, download, partial_size
from napari_sam.checkpoints.download.partial import note_path, part_path
from napari_sam.errors import Cancelled, WeightsError

BODY = random.Random(7).randbytes(1_000_000)
WRONG = random.Random(8).randbytes(1_000_000)
QUICK = Limits(connect=60.0, stall=60.0, attempts=2, backoff=0.01)
HASTY = Limits(connect=60.0, stall=0.5, attempts=2, backoff=0.01)
"""For servers that are meant to fall silent."""


def source(*urls: str, body: bytes = BODY, size: bool = True, checksum: bool = True) -> DownloadSource:
    return DownloadSource(
        "demo",
        urls,
        size=len(body) if size else None,
        checksum=("sha256", hashlib.sha256(body).hexdigest()) if checksum else None,
    )


@pytest.fixture
def target(tmp_path):
    return tmp_path / "folder" / "demo.pth"


def leftovers(target: Path) -> set[str]:
    """Files beside the target, the lock aside."""
    return {p.name for p in target.parent.iterdir() if not p.name.endswith(".lock")}


def assert_nothing_kept(target: Path) -> None:
    assert leftovers(target) == set()


def failure(src: DownloadSource, target: Path, limits: Limits = QUICK) -> str:
    with pytest.raises(WeightsError) as caught:
        download(src, target, limits=limits)
    assert not target.exists()
    assert "napari-sam models import FILE" in str(caught.value)
    assert src.urls[0] in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("algorithm", ["sha256", "md5", "xxh128", None])
def test_whole_file_arrives_under_its_name_only(server, answers, target, algorithm, tmp_path):
    body = BODY
    digests = {
        "sha256": hashlib.sha256(body).hexdigest(),
        "md5": hashlib.md5(body).hexdigest(),
        "xxh128": xxhash.xxh128(body).hexdigest(),
    }
    if algorithm is None:  # without a checksum, the form of a checkpoint stands in for it
        body = b"\x80\x02" + BODY
    url = server.serve("/f", answers.whole(body))
    checksum = (algorithm, digests[algorithm]) if algorithm else None
    download(DownloadSource("demo", (url,), len(body), checksum), target, limits=QUICK)
    assert target.read_bytes() == body
    assert leftovers(target) == {"demo.pth"}
    assert server.requests["/f"][0]["Accept-Encoding"] == "identity"


def test_progress_rises_to_one(server, answers, target):
    seen: list[float] = []
    download(source(server.serve("/f", answers.whole(BODY))), target, seen.append, limits=QUICK)
    assert seen == sorted(seen)
    assert seen[0] < 0.2
    assert seen[-1] == 1.0


def test_existing_file_is_not_asked_for_again(server, answers, target):
    target.parent.mkdir()
    target.write_bytes(b"old")
    url = server.serve("/f", answers.whole(BODY))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == b"old"
    assert not server.requests["/f"]
    download(source(url), target, limits=QUICK, replace=True)
    assert target.read_bytes() == BODY


def test_redirects_are_followed(server, answers, target):
    end = server.serve("/end", answers.whole(BODY))
    url = server.serve("/start", answers.status(302, Location=end))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY


def test_cut_connection_is_continued_with_range_and_if_range(server, answers, target):
    url = server.serve("/f", answers.cut(BODY, 300_000), answers.cut(BODY, 300_000), answers.whole(BODY))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    first, second, third = server.requests["/f"]
    assert "Range" not in first
    got = [int(r["Range"].removeprefix("bytes=").removesuffix("-")) for r in (second, third)]
    assert 0 < got[0] <= 300_000 < got[1] <= 600_000
    assert second["If-Range"] == '"version-1"'


def test_weak_etag_is_not_used_as_a_condition(server, answers, target):
    url = server.serve("/f", answers.cut(BODY, 300_000, etag='W/"weak"'), answers.whole(BODY, etag='W/"weak"'))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert "If-Range" not in server.requests["/f"][1]


def test_cancel_keeps_the_part_and_the_next_call_goes_on(server, answers, target):
    url = server.serve("/f", answers.stall(server, BODY, 400_000), answers.whole(BODY))

    def cancel_at_a_quarter(fraction: float) -> None:
        if fraction > 0.25:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        download(source(url), target, cancel_at_a_quarter, limits=QUICK)
    kept = partial_size(target)
    assert 250_000 < kept <= 400_000
    assert not target.exists()
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert server.requests["/f"][1]["Range"] == f"bytes={kept}-"


def test_cancel_is_obeyed_at_once_while_the_server_is_silent(server, answers, target):
    url = server.serve("/f", answers.stall(server, BODY, 100_000))
    patient = Limits(connect=60, stall=3600, attempts=1, backoff=0)
    seen: list[float] = []

    def cancel_in_the_silence(fraction: float) -> None:
        seen.append(fraction)
        if fraction and seen.count(fraction) == 5:
            raise Cancelled("enough")

    before = threading.active_count()
    with pytest.raises(Cancelled):
        download(source(url), target, cancel_in_the_silence, limits=patient)
    assert not [t for t in threading.enumerate() if t.name == "napari-sam-download"], "the reading thread is left"
    assert threading.active_count() <= before + 1  # the server's own thread


def test_file_changed_on_the_server_is_fetched_from_the_start(server, answers, target):
    other = bytes(reversed(BODY))
    url = server.serve("/f", answers.cut(other, 300_000, etag='"old"'), answers.whole(BODY, etag='"new"'))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert server.requests["/f"][1]["If-Range"] == '"old"'


def test_server_that_ignores_range_starts_over(server, answers, target):
    url = server.serve("/f", answers.cut(BODY, 300_000), answers.whole(BODY, ranges=False))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY


def test_server_that_continues_at_another_place_starts_over(server, answers, target):
    def elsewhere(handler):
        handler.start(206, Content_Length=10, Content_Range=f"bytes 5-14/{len(BODY)}", ETag='"version-1"')
        handler.wfile.write(BODY[5:15])

    url = server.serve("/f", answers.cut(BODY, 300_000), elsewhere, answers.whole(BODY))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert "Range" not in server.requests["/f"][2]


def test_bytes_from_another_place_are_not_kept_even_without_a_checksum(server, answers, target):
    body = b"\x80\x02" + BODY

    def shifted(handler):
        count = len(body) - handler.offset()
        handler.start(206, Content_Length=count, Content_Range=f"bytes 5-{count + 4}/{len(body)}", ETag='"version-1"')
        handler.wfile.write(body[5 : 5 + count])

    url = server.serve("/f", answers.cut(body, 300_000), shifted, answers.whole(body))
    download(source(url, body=body, checksum=False), target, limits=QUICK)
    assert target.read_bytes() == body


def test_range_beyond_the_end_starts_over(server, answers, target):
    target.parent.mkdir()
    part_path(target).write_bytes(BODY)  # size unknown, so it cannot be seen that everything is here
    url = server.serve("/f", answers.whole(BODY))
    download(source(url, size=False), target, limits=QUICK)
    assert target.read_bytes() == BODY


def test_rotten_part_is_fetched_again_from_the_start(server, answers, target):
    target.parent.mkdir()
    part_path(target).write_bytes(WRONG[:500_000])
    url = server.serve("/f", answers.whole(BODY))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert [("Range" in r) for r in server.requests["/f"]] == [True, False]


def test_complete_part_needs_no_request(server, answers, target):
    target.parent.mkdir()
    part_path(target).write_bytes(BODY)
    note_path(target).write_text("not json")
    url = server.serve("/f", answers.whole(BODY))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert not server.requests["/f"]


def test_without_a_checksum_a_part_of_unknown_origin_is_not_continued(server, answers, target):
    body = b"\x80\x02" + BODY
    target.parent.mkdir()
    part_path(target).write_bytes(WRONG[:500_000])
    url = server.serve("/f", answers.whole(body))
    download(source(url, body=body, checksum=False), target, limits=QUICK)
    assert target.read_bytes() == body
    assert "Range" not in server.requests["/f"][0]


def test_stalled_server_is_left_for_the_mirror_which_goes_on(server, answers, target):
    slow = server.serve("/slow", answers.stall(server, BODY, 300_000), answers.stall(server, BODY, 0))
    good = server.serve("/good", answers.whole(BODY))
    download(source(slow, good), target, limits=HASTY)
    assert target.read_bytes() == BODY
    assert "Range" in server.requests["/good"][0]
    assert "If-Range" not in server.requests["/good"][0]  # a condition of the other server means nothing here


def test_stalled_server_without_mirror_says_so_and_keeps_the_part(server, answers, target):
    url = server.serve("/f", answers.stall(server, BODY, 300_000), answers.stall(server, BODY, 0))
    message = failure(source(url), target, HASTY)
    assert "sent nothing" in message
    assert "offline" not in message
    assert "are kept" in message
    assert partial_size(target) > 100_000


def test_wrong_file_of_the_right_length_is_never_kept(server, answers, target):
    message = failure(source(server.serve("/f", answers.whole(WRONG))), target)
    assert "checksum" in message
    assert len(server.requests["/f"]) == 1  # asking again for a whole wrong file would only cost time
    assert_nothing_kept(target)


def test_wrong_file_on_the_first_server_right_one_on_the_mirror(server, answers, target):
    bad, good = server.serve("/bad", answers.whole(WRONG)), server.serve("/good", answers.whole(BODY))
    download(source(bad, good), target, limits=QUICK)
    assert target.read_bytes() == BODY


def test_other_length_is_refused_before_it_is_read(server, answers, target):
    message = failure(source(server.serve("/f", answers.whole(BODY + b"more"))), target)
    assert "another file" in message
    assert_nothing_kept(target)


def test_lying_length_too_short(server, answers, target):
    def liar(handler):
        handler.start(200, Content_Length=1000)
        handler.wfile.write(BODY)

    message = failure(source(server.serve("/f", liar)), target)
    assert "instead of" in message
    assert_nothing_kept(target)


def test_lying_length_too_long(server, answers, target):
    def liar(handler):
        handler.start(200, Content_Length=len(BODY) + 1000)
        handler.wfile.write(BODY)

    url = server.serve("/f", liar)
    message = failure(source(url, size=False), target)
    assert "broke off" in message


def test_endless_answer_is_stopped(server, answers, target):
    def endless(handler):
        handler.start(200)
        while not server.release.is_set():
            handler.wfile.write(WRONG)

    message = failure(source(server.serve("/f", endless)), target)
    assert "sends more than" in message
    assert_nothing_kept(target)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_login_page_is_named_and_does_not_cost_the_part(server, answers, target, content_type):
    target.parent.mkdir()
    part_path(target).write_bytes(BODY[:400_000])
    message = failure(source(server.serve("/f", answers.page(content_type=content_type)), size=False), target)
    assert "web page" in message
    assert partial_size(target) == 400_000


def test_not_found_goes_to_the_mirror_without_asking_twice(server, answers, target):
    gone, good = server.serve("/gone", answers.status(404)), server.serve("/good", answers.whole(BODY))
    download(source(gone, good), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert len(server.requests["/gone"]) == 1


def test_all_addresses_are_named_when_all_fail(server, answers, target):
    gone, forbidden = server.serve("/gone", answers.status(404)), server.serve("/no", answers.status(403))
    message = failure(source(gone, forbidden), target)
    assert "404" in message
    assert "403" in message
    assert "offline" not in message


def test_busy_server_is_asked_again_after_the_time_it_names(server, answers, target, monkeypatch):
    url = server.serve("/f", answers.status(503, Retry_After=7), answers.whole(BODY))
    pauses: list[float] = []
    monkeypatch.setattr(download_module._Download, "_pause", lambda _self, seconds: pauses.append(seconds))
    download(source(url), target, limits=QUICK)
    assert target.read_bytes() == BODY
    assert pauses == [7]


def test_offline_is_said(target):
    message = failure(source("http://127.0.0.1:9/never"), target)  # the discard port: nobody listens
    assert "offline" in message
    assert_nothing_kept(target)


def test_unknown_form_is_refused_where_no_checksum_is_published(server, answers, target):
    body = b"GIF89a" + BODY
    url = server.serve("/f", answers.whole(body))
    message = failure(source(url, body=body, size=False, checksum=False), target)
    assert "not a checkpoint" in message
    assert_nothing_kept(target)


def test_too_small_disk_is_said_before_it_is_full(server, answers, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 9, 1))
    with pytest.raises(WeightsError, match=r"not enough space.*NAPARI_SAM_HOME"):
        download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK)
    assert_nothing_kept(target)


def test_disk_that_fills_up_is_said_and_the_part_is_kept(server, answers, target, monkeypatch):
    from napari_sam.checkpoints.download import partial as module

    write = module.Partial.write

    def full(self, chunk: bytes) -> None:
        if self.have > 300_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, chunk)

    monkeypatch.setattr(module.Partial, "write", full)
    with pytest.raises(WeightsError, match="not enough space"):
        download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK)
    assert partial_size(target) > 300_000


def test_folder_that_cannot_be_made_is_said(server, answers, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="NAPARI_SAM_HOME"):
        download(source(server.serve("/f", answers.whole(BODY))), tmp_path / "file" / "demo.pth", limits=QUICK)


def test_forbidden_folder_is_said(server, answers, target, monkeypatch):
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", forbidden)  # root, who runs the tests in a container, may write anywhere
    with pytest.raises(WeightsError, match=r"cannot be written to.*NAPARI_SAM_HOME"):
        download(source(server.serve("/f", answers.whole(BODY))), target, limits=QUICK)


def test_two_at_once_download_once(server, answers, target):
    def slowly(handler):
        handler.start(200, Content_Length=len(BODY), ETag='"version-1"')
        for i in range(0, len(BODY), 100_000):
            handler.wfile.write(BODY[i : i + 100_000])
            time.sleep(0.03)

    src = source(server.serve("/f", slowly))
    errors: list[BaseException] = []

    def run() -> None:
        try:
            download(src, target, limits=QUICK)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert target.read_bytes() == BODY
    assert len(server.requests["/f"]) == 1


def test_who_waits_for_another_process_can_cancel(server, answers, target):
    from filelock import FileLock

    target.parent.mkdir()

    def cancel(_fraction: float) -> None:
        raise Cancelled("enough")

    with FileLock(target.with_name(target.name + ".lock")), pytest.raises(Cancelled):
        download(source(server.serve("/f", answers.whole(BODY))), target, cancel, limits=QUICK)


def test_note_tells_where_the_part_came_from(server, answers, target):
    url = server.serve("/f", answers.cut(BODY, 300_000), answers.status(404))
    failure(source(url), target)
    assert json.loads(note_path(target).read_text()) == {"url": url, "validator": '"version-1"', "total": len(BODY)}
