"""Files that are damaged, forged or something else: always refused in words, quickly, and nothing in them runs."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import random
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save, save_file

from napari_sam.checkpoints.container import FormError, container_problem, outer_form
from napari_sam.checkpoints.loading import load_checkpoint
from napari_sam.errors import Cancelled, WeightsError
from napari_sam.model.compact.bounds import BOUNDS
from napari_sam.model.compact.model import CompactConfig, CompactSam
from sam_reference import tiny_sam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TINY = CompactConfig((8, 12, 16), (1, 1, 1), 1, 2, (8, 8, 16), 1, 2)
has_sparse_files = pytest.mark.skipif(os.name == "nt", reason="Windows gives zeros their place on the disk")
has_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders")


def refusal(path: Path, **asked: Any) -> str:
    """What a person is told; any other error, and a model, fails the test."""
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(path, **asked)
    message = str(caught.value)
    assert len(message) < 1200
    assert message.isprintable()
    assert message.endswith(".")
    return message


def compact_state() -> dict[str, torch.Tensor]:
    return {key: value.half().contiguous() for key, value in CompactSam(TINY).state_dict().items()}


def write_compact(path: Path, config: object, state: dict[str, torch.Tensor] | None = None) -> Path:
    text = config if isinstance(config, str) else json.dumps(config)
    weights = compact_state() if state is None else state
    save_file(weights, path, metadata={"architecture": "compact", "config": text})
    return path


def changed(**values: object) -> dict[str, object]:
    return {**json.loads(TINY.to_json()), **values}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Sound files of every form."""
    folder, state = tmp_path_factory.mktemp("sound"), tiny_sam().state_dict()
    torch.save(state, folder / "archive")
    torch.save(state, folder / "pickle", _use_new_zipfile_serialization=False)
    save_file(state, folder / "safetensors")
    write_compact(folder / "compact", TINY.to_json())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


FORMS = ("archive", "pickle", "safetensors", "compact")


class TestDamage:
    @pytest.mark.parametrize("form", FORMS)
    def test_cut_anywhere(self, sound, form, tmp_path):
        body, path = sound[form], tmp_path / "model.pth"
        places = {*range(12), *(len(body) - n for n in range(1, 40, 3)), *range(12, len(body), len(body) // 40)}
        for place in sorted(places):
            path.write_bytes(body[:place])
            assert "Download it again" in refusal(path)

    @pytest.mark.parametrize("form", FORMS)
    def test_flipped_bytes_are_refused_or_do_no_harm(self, sound, form, tmp_path):
        body, path, chance = sound[form], tmp_path / "model.pth", random.Random(form)
        refused = 0
        for _ in range(80):
            data = bytearray(body)
            for _ in range(chance.choice((1, 1, 3, 10))):
                # Nine in ten where it matters: in the description at the start, or the directory at the end.
                near = chance.choice((chance.randrange(4000), len(data) - 1 - chance.randrange(4000)))
                data[near if chance.random() < 0.9 else chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(data)
            container_problem(path)
            try:
                load_checkpoint(path)
            except WeightsError as error:
                refused += 1
                assert str(error).isprintable()
        assert refused > 10

    @pytest.mark.parametrize("form", FORMS)
    def test_something_behind_the_end(self, sound, form, tmp_path):
        path = tmp_path / "model.pth"
        path.write_bytes(sound[form] + b"\0" * 100_000)
        if form in ("safetensors", "compact"):
            refusal(path)
        else:  # of an archive the end is sought; old files are read from their start
            container_problem(path)

    @pytest.mark.parametrize("chance", range(4))
    @pytest.mark.parametrize("start", [b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x04\x95", b"\x10\0\0\0\0\0\0\0{"])
    def test_noise(self, tmp_path, start, chance):
        path = tmp_path / "model.safetensors"
        path.write_bytes(start + random.Random(chance).randbytes(5000))
        refusal(path)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\0",
            b"\xff\xfe" + "weights".encode("utf-16-le") * 20,
            b"\x89PNG\r\n\x1a\n" + bytes(500),
            b"GIF89a" + bytes(500),
            b"II*\0" + bytes(500),
            b"\x1f\x8b\x08" + bytes(500),
            b"BM" + bytes(range(256)),
            b"SIMPLE  =                    T" + bytes(500),
            b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 375042383\n",
            "Gew\xf6hnlicher Text".encode("latin-1") * 50,
            b"{" * 500,
            b"<!DOCTYPE html><html><title>404</title></html>",
            b"\xef\xbb\xbf <HTML>log in</HTML>",
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        ],
    )
    @pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
    def test_other_files(self, tmp_path, body, name):
        path = tmp_path / name
        path.write_bytes(body)
        assert "Download it again" in refusal(path)

    def test_nothing_folders_and_names_that_no_file_has(self, tmp_path):
        assert "There is no file" in refusal(tmp_path / "none.pth")
        assert "There is no file" in refusal(tmp_path / ("x" * 300 + ".pth"))
        assert "it is a folder, not a file" in refusal(tmp_path)

    @has_pipes
    def test_pipes_and_devices(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.pth")
        assert "it is a pipe, not a file" in refusal(tmp_path / "pipe.pth")
        (tmp_path / "link.pth").symlink_to("/dev/zero")
        assert "it is a device, not a file" in refusal(tmp_path / "link.pth")

    @has_sparse_files
    def test_larger_than_any_model(self, tmp_path):
        with (tmp_path / "huge.pth").open("wb") as file:  # of zeros, which take no place on the disk
            file.write(b"\x80\x02")
            file.truncate(10**12)
        assert "larger than any model" in refusal(tmp_path / "huge.pth")


class TestSafetensors:
    def write(self, path: Path, header: str | bytes, body: bytes = b"", length: int | None = None) -> Path:
        raw = header.encode() if isinstance(header, str) else header
        path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + body)
        return path

    @pytest.mark.parametrize("length", [0, 1, 2, 3, 2**31, 2**32, 2**63, 2**64 - 1])
    def test_absurd_lengths_of_the_header(self, tmp_path, length):
        refusal(self.write(tmp_path / "model.safetensors", "{}" + " " * 50, b"", length))

    @pytest.mark.parametrize(
        "entry",
        [
            {"dtype": "F32", "shape": [10**18], "data_offsets": [0, 8]},
            {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]},
            {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
            {"dtype": "F32", "shape": [1] * 5000 + [2], "data_offsets": [0, 8]},
            {"dtype": "F32", "shape": [0, 10**18], "data_offsets": [0, 0]},
            {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
            {"dtype": "F32", "shape": [2], "data_offsets": [0, 10**18]},
            {"dtype": "F32", "shape": [2], "data_offsets": [-8, 8]},
            {"dtype": "F32", "shape": [2], "data_offsets": [0]},
            {"dtype": "F32", "shape": [2], "data_offsets": "ab"},
            {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]},
            {"dtype": 5, "shape": [2], "data_offsets": [0, 8]},
            {"dtype": "F32", "shape": {}, "data_offsets": [0, 8]},
            {},
            [],
            None,
        ],
    )
    def test_absurd_tensors(self, tmp_path, entry):
        path = self.write(tmp_path / "model.safetensors", json.dumps({"image_encoder.a": entry}), bytes(8))
        container_problem(path)
        refusal(path)

    @pytest.mark.parametrize(
        "header",
        [
            "[]",
            "[" * 5000,
            '{"a":' * 5000,
            '{"__metadata__": 5}',
            '{"__metadata__": {"a": 5}}',
            '{"__metadata__": {"architecture": "compact"}}',
            '{"a": {"dtype": "U8", "shape": [' + "9" * 5000 + '], "data_offsets": [0, 0]}}',
            b'{"\xff\xfe": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}',
            '{"\\u001b[31m\\u0007' + "x" * 3000 + '": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}',
        ],
    )
    def test_absurd_headers(self, tmp_path, header):
        path = self.write(tmp_path / "model.safetensors", header)
        container_problem(path)
        refusal(path)

    def test_names_that_are_there_twice(self, tmp_path):
        entry = '"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}'
        path = self.write(tmp_path / "model.safetensors", f"{{{entry}, {entry}}}", bytes(4))
        assert "header cannot be read" in refusal(path)

    @has_sparse_files
    def test_a_header_that_would_fill_the_memory(self, tmp_path):
        with (tmp_path / "model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", 5 * 10**9) + b"{")
            file.truncate(6 * 10**9)
        assert "header is longer" in refusal(tmp_path / "model.safetensors")


class TestArchives:
    def write(self, path: Path, parts: dict[str, bytes], **how: Any) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are there twice
            with zipfile.ZipFile(path, "w", **how) as archive:
                for name, body in parts.items():
                    archive.writestr(name, body)
        return path

    def pickled(self) -> bytes:
        return pickle.dumps({"image_encoder.a": 1}, protocol=2)

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path, monkeypatch):
        parts = {"archive/data.pkl": self.pickled(), "archive/data/0": bytes(50_000_000)}
        path = self.write(tmp_path / "bomb.pt", parts, compression=zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 100_000
        monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("it was unpacked"))
        assert "compressed" in container_problem(path)
        assert "compressed" in refusal(path)

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_compressed_parts(self, tmp_path, method):
        path = self.write(tmp_path / "model.pt", {"archive/data.pkl": self.pickled()}, compression=method)
        assert "compressed" in refusal(path)

    def test_parts_that_overlap(self, tmp_path, sound):
        body = bytearray(sound["archive"])
        start = body.rindex(b"PK\x01\x02")
        while (start := body.rfind(b"PK\x01\x02", 0, start)) > 0:  # every part is as large as the file
            body[start + 20 : start + 28] = struct.pack("<II", len(body) - 1000, len(body) - 1000)
        (tmp_path / "model.pt").write_bytes(body)
        assert "overlap" in refusal(tmp_path / "model.pt")

    @pytest.mark.parametrize("names", [("a/data.pkl", "A/DATA.PKL"), ("a/data.pkl", "b/data.pkl")])
    def test_two_descriptions(self, tmp_path, names):
        path = self.write(tmp_path / "model.pt", dict.fromkeys(names, self.pickled()))
        assert "not a checkpoint" in refusal(path)

    def test_a_name_that_is_there_twice(self, tmp_path):
        path = self.write(tmp_path / "model.pt", {"a/data.pkl": self.pickled(), "a/data/0": b"1", "a/DATA/0": b"2"})
        assert "overlap" in refusal(path)

    def test_archives_of_other_things(self, tmp_path):
        assert "unpack it" in refusal(self.write(tmp_path / "slides.pptx", {"ppt/slide1.xml": b"<a/>"}))
        assert "unpack it" in refusal(self.write(tmp_path / "model.zip", {"sam_vit_b.pth": b"\x80\x02"}))
        refusal(self.write(tmp_path / "empty.zip", {}))

    def test_programs_are_refused_and_not_run(self, tmp_path):
        parts = {"a/data.pkl": self.pickled(), "a/constants.pkl": self.pickled(), "a/code/x.py": b"def f(): pass"}
        assert "TorchScript" in refusal(self.write(tmp_path / "model.pt", parts))

    @has_sparse_files
    def test_a_directory_that_would_fill_the_memory(self, tmp_path):
        path = self.write(tmp_path / "model.pt", {"archive/data.pkl": self.pickled()})
        body = bytearray(path.read_bytes())
        end = body.rindex(b"PK\x05\x06")
        body[end + 12 : end + 20] = struct.pack("<II", 3 * 10**9, 1000)
        with path.open("wb") as file:
            file.write(body[:1000])
            file.seek(4 * 10**9)
            file.write(body[end:])
        assert "longer than that of any model" in refusal(path)

    def test_a_long_description(self, tmp_path):
        path = self.write(tmp_path / "model.pt", {"archive/data.pkl": bytes(9_000_000)})
        assert "larger than that of any model" in refusal(path)

    def test_storages_that_are_missing_or_too_short(self, tmp_path, sound):
        for body in (b"", b"\0"):
            parts = {}
            with zipfile.ZipFile(io.BytesIO(sound["archive"])) as archive:
                for part in archive.infolist():
                    parts[part.filename] = body if "/data/" in part.filename else archive.read(part)
            refusal(self.write(tmp_path / "model.pt", parts))
            refusal(self.write(tmp_path / "model.pt", {k: v for k, v in parts.items() if "/data/" not in k}))

    def test_checking_the_sums_can_be_cancelled(self, tmp_path):
        path = self.write(tmp_path / "model.pt", {"a/data.pkl": self.pickled(), "a/data/0": bytes(10_000_000)})
        seen: list[float] = []

        def cancel(fraction: float) -> None:
            seen.append(fraction)
            raise Cancelled("enough")

        with pytest.raises(Cancelled):
            container_problem(path, cancel)
        assert len(seen) == 1


class Call:
    """Unpickles to what a function returns."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.made_by = function, arguments

    def __reduce__(self) -> Any:
        return self.made_by


def in_every_form(contents: object, folder: Path) -> Iterator[Path]:
    """Save an object as torch does, as it did, and as a bare pickle."""
    torch.save(contents, folder / "new.pth")
    torch.save(contents, folder / "old.pth", _use_new_zipfile_serialization=False)
    (folder / "bare.pth").write_bytes(pickle.dumps(contents, protocol=2))
    yield from (folder / "new.pth", folder / "old.pth", folder / "bare.pth")


class TestPickles:
    @pytest.mark.parametrize("function", [os.mkdir, os.system, eval, exec, Path, getattr, io.open])
    def test_code_never_runs(self, tmp_path, function):
        victim = tmp_path / "victim"
        argument = {os.mkdir: str(victim), os.system: f"mkdir {victim}"}.get(
            function, f"__import__('os').mkdir({str(victim)!r})"
        )
        for path in in_every_form({"image_encoder.x": Call(function, argument)}, tmp_path):
            refusal(path)
        assert not victim.exists()

    @pytest.mark.parametrize("depth", [40, 400])
    def test_tuples_whose_hash_takes_longer_than_a_life(self, tmp_path, depth):
        key: tuple[Any, ...] = ()
        for _ in range(depth):
            key = (key, key)
        body = pickle.dumps(Keyed(key), protocol=2)
        bare, archive = tmp_path / "bare.pth", tmp_path / "archive.pth"
        bare.write_bytes(body)
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("archive/data.pkl", body)
        for path in (bare, archive):
            assert "more parts than any model" in refusal(path)

    def test_more_instructions_than_any_model(self, tmp_path):
        body = b"\x80\x02" + b"N0" * 1_500_000 + b"N."
        (tmp_path / "model.pth").write_bytes(body)
        assert "more parts than any model" in refusal(tmp_path / "model.pth")

    @pytest.mark.parametrize("depth", [100, 10_000])
    def test_deep_nesting(self, tmp_path, depth):
        body = b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."
        (tmp_path / "model.pth").write_bytes(body)
        refusal(tmp_path / "model.pth")

    @pytest.mark.parametrize(
        "body",
        [
            b"\x80\x02.",
            b"\x80\x02(((.",
            b"\x80\x02}q\0h\5.",
            b"\x80\x02\x8d" + struct.pack("<Q", 2**62) + b"x.",
            b"\x80\x02\x8b" + struct.pack("<I", 2**31 - 1) + b"x.",
            b"\x80\x02U\xffx.",
            b"\x80\x02I" + b"9" * 6000 + b"\n.",
            b"\x80\x02X\x02\0\0\0\xff\xfe.",
            b"\x80\x02}q\0(X\1\0\0\0ah\0u.",
            b"\x80\x7f}.",
        ],
    )
    def test_instructions_that_are_none(self, tmp_path, body):
        (tmp_path / "model.pth").write_bytes(body)
        refusal(tmp_path / "model.pth")

    def test_a_wrapper_around_itself(self, tmp_path):
        contents: dict[str, Any] = {}
        contents["model"] = contents
        for path in in_every_form(contents, tmp_path):
            refusal(path)

    @pytest.mark.parametrize(
        "contents",
        [
            None,
            5,
            "text",
            [],
            {5: torch.zeros(2), (1, 2): torch.zeros(2), None: 3},
            {"image_encoder.x": None},
            {"state_dict": {"model": {"model_state": 5}}},
            {"\x1b[31m" + "x" * 5000: torch.zeros(1)},
            OrderedDict(a=torch.zeros(1)),
        ],
    )
    def test_other_contents(self, tmp_path, contents):
        for path in in_every_form(contents, tmp_path):
            refusal(path)


class Keyed:
    """Pickles to a dictionary with one key, which need not be hashed to be written."""

    def __init__(self, key: object) -> None:
        self.key = key

    def __reduce__(self) -> Any:
        return dict, (), None, None, iter([(self.key, 1)])


class TestTensors:
    """Files that are sound as files, of tensors that are none of a SAM."""

    @pytest.fixture
    def state(self) -> dict[str, torch.Tensor]:
        return dict(tiny_sam().state_dict())

    def saved(self, state: dict[str, Any], folder: Path) -> Path:
        torch.save(state, folder / "model.pth")
        return folder / "model.pth"

    @pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 0), (2, 2), (1, 1, 1, 1), (0, 3, 16, 16), (10**6, 3, 1, 1)])
    @pytest.mark.parametrize(
        "key",
        [
            "patch_embed.proj.weight",
            "pos_embed",
            "blocks.0.attn.rel_pos_h",
            "blocks.1.attn.rel_pos_h",
            "blocks.0.mlp.lin1.weight",
            "neck.0.weight",
            "blocks.0.attn.qkv.weight",
        ],
    )
    def test_absurd_shapes(self, state, tmp_path, key, shape):
        state[f"image_encoder.{key}"] = torch.zeros(shape)
        refusal(self.saved(state, tmp_path))

    @pytest.mark.parametrize(
        "key", ["patch_embed.proj.weight", "pos_embed", "blocks.1.attn.rel_pos_h", "neck.0.weight"]
    )
    def test_shapes_that_no_file_holds(self, state, tmp_path, key):
        name = f"image_encoder.{key}"
        shape = [size if size < 4 else 1000 * size for size in state[name].shape]
        state[name] = torch.zeros(()).expand(shape)
        refusal(self.saved(state, tmp_path))

    def test_weights_that_repeat_one_number(self, state, tmp_path):
        path = self.saved({key: torch.zeros(()).expand(value.shape) for key, value in state.items()}, tmp_path)
        assert "describes more weights than it holds" in refusal(path)

    @pytest.mark.parametrize("index", ["99999999", "9" * 5000, "-1", "64"])
    def test_absurd_numbers_of_blocks(self, state, tmp_path, index):
        state[f"image_encoder.blocks.{index}.norm1.weight"] = torch.zeros(32)
        refusal(self.saved(state, tmp_path))

    @pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
    def test_other_kinds_of_numbers(self, state, tmp_path, dtype):
        key = "image_encoder.neck.0.weight"
        state[key] = state[key].to(dtype)
        assert f"1 of another type ({key})" in refusal(self.saved(state, tmp_path))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_kinds_of_numbers_that_serve(self, state, tmp_path, dtype):
        path = self.saved({key: value.to(dtype) for key, value in state.items()}, tmp_path)
        assert load_checkpoint(path).architecture == "sam_vit"

    @pytest.mark.parametrize("kind", ["sparse", "meta", "quantised"])
    def test_tensors_without_numbers_in_memory(self, state, tmp_path, kind):
        key = "image_encoder.neck.0.weight"
        make = {
            "sparse": lambda value: value.to_sparse(),
            "meta": lambda value: value.to("meta"),
            "quantised": lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # quantisation is about to leave PyTorch
            state[key] = make[kind](state[key])
            path = self.saved(state, tmp_path)
        refusal(path)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("key", ["mask_decoder.iou_token.weight", "image_encoder.blocks.1.mlp.lin2.bias"])
    def test_weights_that_are_no_numbers(self, state, tmp_path, key, value):
        state[key] = state[key].clone()
        state[key].view(-1)[3] = value
        message = refusal(self.saved(state, tmp_path))
        assert "not all finite" in message
        assert key in message

    def test_numbers_that_are_too_large_for_the_model(self, state, tmp_path):
        key = "mask_decoder.iou_token.weight"
        state[key] = torch.full(state[key].shape, 1e300, dtype=torch.float64)
        assert "not all finite" in refusal(self.saved(state, tmp_path))

    def test_normalisation_that_becomes_no_number_when_it_is_fused(self, tmp_path):
        model = tiny_sam(mobile=True)
        full = type(model)(type(model.config)(model.config.encoder)).eval()
        state = dict(full.state_dict())
        key = next(key for key in state if key.endswith("running_var"))
        state[key] = torch.full(state[key].shape, -1.0)
        assert "not all finite" in refusal(self.saved(state, tmp_path))


class TestCompactSettings:
    def test_every_setting_has_its_bounds(self):
        assert BOUNDS.keys() == json.loads(TINY.to_json()).keys()
        for config in (TINY, CompactConfig(), CompactConfig(backbone="efficientnet_lite0")):
            assert CompactConfig.from_json(config.to_json()) == config

    @pytest.mark.parametrize(
        "config",
        [
            "",
            "null",
            "5",
            '"text"',
            "[]",
            "[1, 2]",
            '[["widths", [8, 12, 16]]]',
            "[" * 10_000,
            '{"widths":' * 10_000,
            "{" + '"a": 1, ' * 10_000,
            '{"longest": ' + "9" * 5000 + "}",
            changed(surprise=1),
            changed(**{"\x1b[31m" + "x" * 1000: 1}),
            changed(widths=None),
            changed(widths=8),
            changed(widths=[8, 12]),
            changed(widths=[8, 12, 16, 20]),
            changed(widths=[8, 12, "16"]),
            changed(widths=[8, 12, 16.0]),
            changed(widths=[8, 12, True]),
            changed(widths=[[8], 12, 16]),
            changed(widths=[10**9, 10**9, 10**9]),
            changed(widths=[0, 12, 16]),
            changed(widths=[-8, -12, -16]),
            changed(blocks=[10**9, 1, 1]),
            changed(blocks=[1, 1, -1]),
            changed(attention_blocks=10**12),
            changed(attention_heads=0),
            changed(attention_heads=-2),
            changed(attention_heads=3),
            changed(decoder_widths=[8, 8, 10**7]),
            changed(decoder_widths=[8, 8, 18]),
            changed(decoder_heads=0),
            changed(decoder_heads=5),
            changed(decoder_depth=10**9),
            changed(decoder_depth=0),
            changed(longest=0),
            changed(longest=10**9),
            changed(shortest=-5),
            changed(preferred=float("nan")),
            changed(preferred=float("inf")),
            changed(preferred=-1),
            changed(enlarge=0),
            changed(enlarge=1e300),
            changed(window=0),
            changed(window=10**9),
            changed(backbone="../../etc/passwd"),
            changed(backbone=5),
            changed(backbone=["efficientnet_lite0"]),
        ],
    )
    def test_absurd_settings_are_refused_before_a_model_is_made(self, tmp_path, monkeypatch, config):
        path = write_compact(tmp_path / "model.safetensors", config)
        monkeypatch.setattr(CompactSam, "__init__", lambda *_: pytest.fail("a model was made"))
        assert "Fetch the file again" in (message := refusal(path)) or "Update napari-sam-live" in message

    def test_settings_of_the_largest_model_cost_no_memory_where_the_weights_are_of_another(self, tmp_path, monkeypatch):
        config = changed(widths=[1024] * 3, blocks=[32] * 3, decoder_widths=[1024] * 3, attention_blocks=32)
        path = write_compact(tmp_path / "model.safetensors", config)
        made = []
        monkeypatch.setattr(
            CompactSam, "to", lambda model, *_, **__: made.append({weight.device.type for weight in model.parameters()})
        )
        assert "does not fit" in refusal(path)
        assert made == [{"meta"}]

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_weights_that_are_no_numbers(self, tmp_path, value):
        state = compact_state()
        state["decoder.bias"][0] = value
        path = write_compact(tmp_path / "model.safetensors", TINY.to_json(), state)
        assert "weights decoder.bias are not all finite" in refusal(path)

    def test_other_kinds_of_numbers(self, tmp_path):
        state = compact_state()
        state["decoder.bias"] = state["decoder.bias"].to(torch.int32)
        path = write_compact(tmp_path / "model.safetensors", TINY.to_json(), state)
        assert "of another type (decoder.bias)" in refusal(path)


def test_reading_can_be_cancelled(tmp_path):
    torch.save(tiny_sam().state_dict(), tmp_path / "model.pth")

    def cancel(_fraction: float) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        load_checkpoint(tmp_path / "model.pth", progress=cancel)


def test_a_disk_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(save(tiny_sam().state_dict()))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("napari_sam.checkpoints.reading.outer_form", fail)
    assert "cannot be read: Input/output error" in refusal(tmp_path / "model.safetensors")


def test_the_form_of_sound_files_is_told(sound, tmp_path):
    for form, body in sound.items():
        (tmp_path / form).write_bytes(body)
        assert outer_form(tmp_path / form).name.lower() == ("safetensors" if form == "compact" else form)
        assert container_problem(tmp_path / form) is None
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(FormError, match="neither"):
        outer_form(tmp_path / "text")
