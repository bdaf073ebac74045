from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from safetensors.torch import save_file

from napari_sam.checkpoints import download, registry, weights
from napari_sam.checkpoints.registry import ModelSpec, list_models
from napari_sam.text.models import CLIP_MODELS


@pytest.fixture
def demo(monkeypatch, blob):
    """A row of the registry whose only address nobody answers."""
    quick = download.Limits(connect=60.0, stall=60.0, attempts=1, backoff=0.0)
    monkeypatch.setattr(download, "Limits", lambda: quick)
    spec = ModelSpec(
        "demo",
        "Demo",
        "sam_vit_b",
        ("http://127.0.0.1:9/demo.pth",),
        size=len(blob),
        sha256=hashlib.sha256(blob).hexdigest(),
        licence="MIT",
        domain="tests",
        use_for="Testing [this].",
    )
    monkeypatch.setattr(registry, "MODELS", (*registry.MODELS, spec))
    return spec


def test_list_shows_every_model_with_licence_and_state(run, monkeypatch, home):
    monkeypatch.setenv("COLUMNS", "200")
    result = run("models", "list")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for spec in list_models():
        line = next(line for line in lines if f" {spec.name} " in line)
        assert spec.licence in line
        assert spec.bundled or spec.size_text in line  # of the bundled one, the size of the file that is here
    assert "to download" in result.stdout
    assert str(home / "weights") in result.stdout.replace("\n", "")


def test_list_is_not_cut_in_a_pipe(run, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    result = run("models", "list")
    assert all(spec.use_for in result.stdout for spec in list_models())


def test_list_as_json(run, read_json, demo, blob):
    path = weights.target_path(demo)
    path.parent.mkdir(parents=True)
    path.with_name("demo.pth.part").write_bytes(b"1234")
    rows = {row["name"]: row for row in read_json(run("models", "list", "--json").stdout)}
    assert rows["demo"]["state"] == "to download"
    assert rows["demo"]["partial"] == 4
    path.write_bytes(blob[:-1])
    rows = {row["name"]: row for row in read_json(run("models", "list", "--json").stdout)}
    assert (rows["demo"]["state"], rows["demo"]["path"]) == ("damaged", str(path))


def test_import_list_verify_remove(run, demo, blob, tmp_path):
    stick = tmp_path / "from a stick.pth"
    stick.write_bytes(blob)
    result = run("models", "import", stick)
    assert result.exit_code == 0, result.output
    assert "Imported as demo" in result.stdout
    assert "demo: right (sha256 as published)" in run("models", "verify", "demo").stdout
    assert run("models", "download", "demo").stdout == f"demo: {weights.target_path(demo)} (3 kB)\n"  # it is there

    weights.target_path(demo).write_bytes(bytes(len(blob)))
    result = run("models", "verify", "demo")
    assert result.exit_code == 1
    assert "damaged" in result.stderr

    assert run("models", "remove", "demo", input="n\n").exit_code == 1
    assert weights.find(demo)
    result = run("models", "remove", "demo", "--yes")
    assert (result.exit_code, result.stdout) == (0, "demo: 3 kB freed\n")
    assert weights.find(demo) is None


def test_verify_without_names_reads_what_is_here(run, demo, blob, monkeypatch):
    path = weights.target_path(demo)
    path.parent.mkdir(parents=True)
    path.write_bytes(blob)
    monkeypatch.setattr(registry, "MODELS", registry.MODELS[1:])  # the bundled one is another test's
    result = run("models", "verify")
    assert (result.exit_code, result.stdout) == (0, "demo: right (sha256 as published)\n")


@pytest.mark.parametrize("command", ["download", "verify", "remove"])
def test_mistyped_name_is_one_line(run, command):
    result = run("models", command, "sam_vit_bb")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no model called 'sam_vit_bb'. Did you mean sam_vit_b")
    assert result.stderr.count("\n") == 1


def test_offline_download_says_what_to_do(run, demo):
    result = run("models", "download", "demo")
    assert result.exit_code == 1
    assert "offline" in result.stderr
    assert "napari-sam models import FILE" in result.stderr
    assert result.stderr.count("\n") == 1


def test_nothing_is_downloaded_when_one_name_is_wrong(run, demo, monkeypatch):
    monkeypatch.setattr(weights, "ensure", lambda *_: pytest.fail("started"))
    assert run("models", "download", "demo", "sam_vit_bb").exit_code == 1


# A shell starts background jobs with Ctrl-C ignored, and their children inherit that: a person's terminal does not.
SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from napari_sam.checkpoints import registry
from napari_sam.checkpoints.registry import ModelSpec
registry.MODELS = (ModelSpec("demo", "Demo", "sam_vit_b", (sys.argv[1],), size=10_000_000, sha256="0" * 64),)
from napari_sam.cli import app
app(["models", "download", "demo"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_at_once_and_keeps_the_part(home):
    halfway, release = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "10000000")
            self.end_headers()
            self.wfile.write(bytes(5_000_000))
            self.wfile.flush()
            halfway.set()
            release.wait()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/demo.pth"
        environment = {**os.environ, "NAPARI_SAM_HOME": str(home), "NO_PROXY": "127.0.0.1"}
        part = home / "weights" / "demo.pth.part"
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, url], stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert halfway.wait(120)
            while process.poll() is None and not (part.exists() and part.stat().st_size > 1_000_000):
                release.wait(0.05)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=120)
    finally:
        release.set()
        server.shutdown()
        server.server_close()
        serving.join()
    assert process.returncode == 130
    assert stderr.startswith("Cancelled. ")
    assert "of demo are kept" in stderr
    assert "Traceback" not in stderr
    assert part.stat().st_size > 1_000_000


def test_text_models_are_listed_with_licence_size_and_state(run, read_json, home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = run("models", "list").stdout.partition("\nWords")[2]
    for model in CLIP_MODELS:
        line = next(line for line in words.splitlines() if f" {model.name} " in line)
        assert model.licence in line
        assert model.size_text in line
        assert "to download" in line
    folder = home / "weights" / "clip-quilt"
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_bytes(b"{}")
    (folder / "open_clip_model.safetensors").write_bytes(bytes(1998))
    folder.with_name("mine").mkdir()
    (folder.with_name("mine") / "open_clip_config.json").write_bytes(b"{}")
    words = run("models", "list").stdout.partition("\nWords")[2]
    assert "2 kB" in next(line for line in words.splitlines() if " clip-quilt " in line)
    rows = {row["name"]: row for row in read_json(run("models", "list", "--json").stdout)}
    assert (rows["clip-quilt"]["state"], rows["clip-quilt"]["path"]) == ("on disk", str(folder))
    assert (rows["clip-biomed"]["state"], rows["clip-biomed"]["path"]) == ("to download", None)
    assert rows["mine"]["state"] == "damaged"


def test_text_models_are_downloaded_verified_and_removed_by_the_same_commands(run, home, monkeypatch):
    def bring(model, folder, _advice, progress):
        folder.mkdir(parents=True)
        save_file({"weight": torch.zeros(500)}, folder / "open_clip_model.safetensors")
        (folder / "open_clip_config.json").write_bytes(b"{}")
        progress(1.0)

    monkeypatch.setattr("napari_sam.text.store.download_model", bring)
    folder = home / "weights" / "clip-datacomp"
    result = run("models", "download", "clip-datacomp")
    assert result.stdout == f"clip-datacomp: {folder} (2.07 kB)\n"
    assert "clip-datacomp: right (well-formed" in run("models", "verify", "clip-datacomp").stdout
    assert "clip-datacomp: right" in run("models", "verify").stdout
    assert run("models", "remove", "clip-datacomp", "--yes").stdout == "clip-datacomp: 2.07 kB freed\n"
    assert not folder.exists()


def test_a_text_model_that_does_not_exist(run):
    result = run("models", "download", "clip-datacom")
    assert (result.exit_code, "Did you mean clip-datacomp?" in result.stderr) == (1, True)
