"""Planes encoded by workers of a real Dask scheduler are those that are encoded here, whatever happens to workers."""

from __future__ import annotations

import os
import signal
import socketserver
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from held_worker import PATIENCE, hold, wait_for_one

from fakes import blob
from napari_sam import PointPrompt, load_predictor
from napari_sam.cache.disk import DiskStore
from napari_sam.cache.memory import EmbeddingCache
from napari_sam.errors import Cancelled, DeviceError
from napari_sam.inference.engine import Engine
from napari_sam.planes.plane import Plane
from napari_sam.progress import no_progress
from napari_sam.remote import encoder
from napari_sam.remote.encoder import RemoteEncoder

CLICK = [PointPrompt((12, 40))]


@pytest.fixture(scope="module")
def here():
    return load_predictor("bundled", "cpu")


@pytest.fixture
def held(processes, tmp_path):
    """Workers that wait for a gate in this folder once they encode."""
    from distributed import Client

    folder = tmp_path / "held"
    folder.mkdir()
    with Client(processes.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=PATIENCE)
        client.run(hold, folder)
        yield folder
        (folder / "gate").touch()


def kept(embedding):
    """What is kept of an embedding: the bytes of its features, as they lie in memory."""
    return [(array.values.tobytes(), array.dtype) for array in embedding.packed().arrays]


def loaded(cluster):
    return load_predictor("bundled", cluster.scheduler_address)


@pytest.mark.parametrize("colour", [False, True])
def test_what_a_worker_encodes_is_what_is_encoded_here_bit_by_bit(processes, here, colour):
    there = loaded(processes)
    grey = np.random.default_rng(0).normal(40, 9, (70, 110)).astype(np.float32)
    pixels = np.stack([grey, 255 - grey, grey / 2], 2).clip(0, 255).astype(np.uint8) if colour else grey
    plane = Plane(pixels, None if colour else (10, 70), gamma=0.8, spacing=(2.0, 1.0))
    ours, theirs = here.embed(plane), there.embed(plane)
    assert theirs.key == ours.key == there.key(plane)
    assert theirs.frame == ours.frame and theirs.weights == ours.weights
    assert kept(theirs) == kept(ours)
    assert there.notice == "" and there.device.type == "cpu"
    assert there.device_text.endswith(f", {processes.scheduler_address}")


def test_one_cache_serves_both(processes, here, tmp_path):
    plane, store = Plane(blob()), DiskStore(tmp_path / "store")
    cache = EmbeddingCache(0, store, worth=0.0)
    Engine(loaded(processes), cache).embed(plane)
    cache.flush()
    assert Engine(here, EmbeddingCache(0, store)).is_cached(plane)


def test_how_far_a_worker_is_is_told_and_waiting_can_be_cancelled(processes, held):
    there, shares = loaded(processes), []

    def stop_at_half(share):
        shares.append(share)
        if share == 0.5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        there.embed(blob(), progress=stop_at_half)
    assert shares[-1] == 0.5
    (held / "gate").touch()
    assert there.embed(blob()).shape == (40, 60) and there.notice == ""


def kill_who_encodes(folder, killed):
    killed.append(wait_for_one(folder))
    os.kill(killed[0], signal.SIGKILL)
    (folder / "gate").touch()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize("attempts", [2, 1])
def test_a_worker_that_is_killed_costs_no_plane(processes, here, held, monkeypatch, attempts):
    monkeypatch.setattr(encoder, "_ATTEMPTS", attempts)
    there, killed = loaded(processes), []
    killer = threading.Thread(target=kill_who_encodes, args=(held, killed))
    killer.start()
    if attempts == 2:
        embedding = there.embed(blob())
        assert there.notice == ""
    else:
        words = r"^Planes are encoded on this computer for now\. .* is not reached any more, or its worker was ended\.$"
        with pytest.warns(RuntimeWarning, match=words):
            embedding = there.embed(blob())
        assert there.notice.startswith("Planes are encoded on this computer for now.")
        assert there.device_text.startswith("CPU")
    killer.join()
    assert killed and killed[0] != os.getpid()
    np.testing.assert_array_equal(there.predict(embedding, CLICK).masks, here.predict(here.embed(blob()), CLICK).masks)


def test_who_fails_is_asked_again_after_a_while_and_later_every_time(threads, here, monkeypatch):
    there = loaded(threads)
    now, asked = [1000.0], []
    monkeypatch.setattr(encoder, "monotonic", lambda: now[0])

    def fail(*_):
        asked.append(now[0])
        raise DeviceError("Gone.")

    with monkeypatch.context() as patch:
        patch.setattr(there._encoder, "_ask", fail)
        with pytest.warns(RuntimeWarning, match=r"^Planes are encoded on this computer for now\. Gone\.$"):
            embedding = there.embed(blob())
        assert kept(embedding) == kept(here.embed(blob()))
        there.embed(blob())  # without another warning, which would be an error here
        for now[0] in (1059.0, 1061.0, 1180.0, 1182.0):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                there.embed(blob())
        assert asked == [1000.0, 1061.0, 1182.0] and there.device_text.startswith("CPU")
    now[0] = 1e6
    there.embed(blob())
    assert there.notice == "" and there.device_text.endswith(threads.scheduler_address)


def test_a_scheduler_without_workers_says_what_to_start(threads):
    threads.scale(0)
    threads.sync(threads._correct_state)
    with pytest.raises(DeviceError, match=r"has no workers\. Start one: dask worker tcp://127"):
        loaded(threads)


def test_an_address_that_nobody_answers_at_is_refused(monkeypatch):
    assert encoder.ANSWER_S <= 5
    monkeypatch.setattr(encoder, "ANSWER_S", 0.2)
    with pytest.raises(DeviceError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9\. Start one"):
        load_predictor("bundled", "tcp://127.0.0.1:9")


class Chatty(socketserver.BaseRequestHandler):
    """Something else than a scheduler."""

    def handle(self):
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 10)


def test_what_is_no_scheduler_is_refused_and_leaves_nothing_behind():
    from distributed import Client

    made = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Chatty) as server, pytest.MonkeyPatch.context() as patch:
        plain = Client.__init__
        patch.setattr(
            Client, "__init__", lambda self, *args, **options: made.append(self) or plain(self, *args, **options)
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(DeviceError, match="No Dask scheduler answers at"):
            RemoteEncoder(f"tcp://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()
    assert [client.status for client in made] == ["closed"]


def test_without_certificates_there_is_no_way_to_a_safe_scheduler():
    with pytest.raises(DeviceError, match=r"no safe way to tls://127\.0\.0\.1:9.*certificates"):
        load_predictor("bundled", "tls://127.0.0.1:9")


def test_without_dask_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DeviceError, match=r"napari-sam-live\[cluster\]"):
        load_predictor("bundled", "tcp://127.0.0.1:9")


def test_other_weights_and_another_version_are_refused(threads, monkeypatch, here):
    there = RemoteEncoder(threads.scheduler_address)
    with pytest.raises(DeviceError, match="has other weights of bundled than this computer"):
        there.use_model("bundled", "0" * 64, no_progress)
    monkeypatch.setattr(encoder, "code_digest", lambda: "other")
    with pytest.raises(DeviceError, match="has another version of napari-sam-live than this computer"):
        there.use_model("bundled", here.weights, no_progress)


def test_what_does_not_belong_to_the_plane_is_not_taken(threads, here):
    there = loaded(threads)._encoder
    plane = Plane(blob())
    with pytest.warns(RuntimeWarning, match="encodes with other weights than this computer"):
        assert there.encode(plane, "another key", no_progress) is None


def test_a_predictor_that_is_let_go_closes_its_connection(threads):
    there = loaded(threads)
    client = there._encoder._client
    del there
    end = time.monotonic() + PATIENCE
    while client.status != "closed" and time.monotonic() < end:
        time.sleep(0.01)
    assert client.status == "closed"
