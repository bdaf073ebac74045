"""Files that mean harm, or are broken: `python hostile.py KIND FOLDER` reads all of one kind, and tells what got out.

A process of its own, so that a crash, a hang and a hunger for memory of the libraries that read them are seen too.
"""

from __future__ import annotations

import json
import resource
import shutil
import struct
import sys
import traceback
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import stack_files
import tifffile

from napari_sam.errors import InputError
from napari_sam.io.planes import read_plane
from napari_sam.io.stacks import open_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Cases = Iterator[tuple[str, bytes]]

MEMORY = 6 * 2**30
ABSURD = 10**12


def broken(data: bytes, header: int, flips: int = 40) -> Cases:
    """Cut a file at many places, and flip bytes of it, most of them in its header."""
    for cut in sorted({*range(0, header, max(1, header // 12)), *range(header, len(data), max(1, len(data) // 6))}):
        yield f"cut at {cut}", data[:cut]
    random = np.random.default_rng(len(data))
    for number in range(flips):
        flipped = bytearray(data)
        for at in random.integers(0, header if number % 4 else len(data), 1 + number % 3):
            flipped[at] = random.integers(0, 256)
        yield f"flip {number}", bytes(flipped)


def tiff(folder: Path) -> Cases:
    path = stack_files.imagej(folder / "base.tif", compression="zlib")
    yield from broken(path.read_bytes(), 600)
    plain = stack_files.imagej(folder / "base.tif", stack_files.VOLUME[0], "YX").read_bytes()
    yield from broken(plain, 600, 20)
    with tifffile.TiffFile(BytesIO(plain)) as file:
        offsets = {tag.name: tag.offset for tag in file.pages[0].tags}
        next_page = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
        first = file.pages[0].offset
    for name, values in {
        "ImageWidth": (0, 2**32 - 1, 2**31),
        "ImageLength": (0, 2**32 - 1, 2**31),
        "RowsPerStrip": (0, 1, 2**32 - 1),
        "BitsPerSample": (0, 7, 65535),
        "SamplesPerPixel": (0, 3, 65535),
        "Compression": (5, 7, 50000, 65535),
        "PhotometricInterpretation": (2, 3, 65535),
        "StripOffsets": (0, 2**32 - 1),
        "StripByteCounts": (0, 2**32 - 1),
        "XResolution": (0, 2**32 - 1),
    }.items():
        for value in values:
            changed = bytearray(plain)
            struct.pack_into("<HI" if plain[:2] == b"II" else ">HI", changed, offsets[name] + 2, 4, 1)
            struct.pack_into("<I" if plain[:2] == b"II" else ">I", changed, offsets[name] + 8, value)
            yield f"{name} {value}", bytes(changed)
    cyclic = bytearray(plain)
    struct.pack_into("<I" if plain[:2] == b"II" else ">I", cyclic, next_page, first)
    yield "cyclic", bytes(cyclic)
    described = stack_files.ome(folder / "base.ome.tif").read_bytes()
    for old, new in ((b'SizeZ="5"', b"1" + b"0" * 11), (b'SizeZ="5"', b"0"), (b'SizeZ="5"', b"-5"), (b'"YX', b'"QQ')):
        text = old.split(b'"')[0] + b'"' + new + b'"'
        at, end = (
            described.index(b"<?xml") if b"<?xml" in described else described.index(b"<OME"),
            described.index(b"</OME>") + 6,
        )
        xml = described[at:end].replace(old, text)
        for deep in (xml, b"<OME>" + b"<a>" * 100_000, b"<OME"):
            buffer = BytesIO()
            tifffile.imwrite(buffer, stack_files.VOLUME, description=deep, metadata=None)
            yield f"ome {new!r} {len(deep)}", buffer.getvalue()
    for claim in (
        '{"shape": [1000000000000, 40, 50]}',
        '{"shape": null}',
        '{"shape": [-1]}',
        "ImageJ=1.0\nimages=1000000000000",
    ):
        buffer = BytesIO()
        tifffile.imwrite(buffer, stack_files.VOLUME, description=claim, metadata=None)
        yield claim, buffer.getvalue()


def nifti(folder: Path) -> Cases:
    plain = stack_files.nifti(folder / "base.nii").read_bytes()
    yield from broken(plain, 352)
    for dims in ((3, -5, 40, 5), (3, 0, 40, 5), (3, 32767, 32767, 32767), (-1, 5, 5, 5), (7, 9, 9, 9), (0, 0, 0, 0)):
        changed = bytearray(plain)
        struct.pack_into("<4h", changed, 40, *dims)
        yield f"dims {dims}", bytes(changed)
    for code in (-1, 0, 1, 32, 128, 1536, 2304, 9999):
        changed = bytearray(plain)
        struct.pack_into("<h", changed, 70, code)
        yield f"type {code}", bytes(changed)
    for offset in (-1.0, 0.0, 1e30, float("nan"), float("inf")):
        changed = bytearray(plain)
        struct.pack_into("<f", changed, 108, offset)
        yield f"offset {offset}", bytes(changed)
    for place, value in (
        (76 + 4, float("nan")),
        (76 + 4, 0.0),
        (112, float("inf")),
        (124, float("nan")),
        (280, float("nan")),
    ):
        changed = bytearray(plain)
        struct.pack_into("<f", changed, place, value)
        yield f"float at {place}: {value}", bytes(changed)


def nifti_gz(folder: Path) -> Cases:
    import gzip

    for name, data in nifti(folder):
        yield name, gzip.compress(data, 1)
    yield from broken(gzip.compress(stack_files.nifti(folder / "base.nii").read_bytes()), 60)
    yield "bomb", gzip.compress(stack_files.nifti(folder / "base.nii").read_bytes()[:352] + bytes(200 * 2**20), 9)


def nrrd(folder: Path) -> Cases:
    stack_files.metaimage(folder / "base.nrrd")
    yield from broken((folder / "base.nrrd").read_bytes(), 300)
    pixels = stack_files.VOLUME.tobytes()
    good = {"type": "ushort", "dimension": "3", "sizes": "50 40 5", "encoding": "raw", "endian": "little"}
    for change in (
        {},
        {"sizes": "999999 999999 999999"},
        {"sizes": "50 40 0"},
        {"sizes": "-50 40 5"},
        {"sizes": f"{ABSURD} {ABSURD} {ABSURD}"},
        {"sizes": "50 40"},
        {"dimension": "99"},
        {"dimension": "0"},
        {"encoding": "nothing"},
        {"encoding": "gzip"},
        {"encoding": "ascii"},
        {"type": "block", "block size": str(ABSURD)},
        {"type": "nothing"},
        {"endian": "middle"},
        {"space": "left-posterior-superior", "space directions": "(nan,0,0) (0,0,0) none"},
        {"data file": "/dev/zero"},
        {"data file": "pipe.raw"},
        {"data file": "../elsewhere.raw"},
        {"data file": "%d.raw 1 999999999 1"},
        {"data file": "LIST"},
        {"line skip": str(ABSURD)},
        {"byte skip": str(-ABSURD)},
    ):
        lines = [f"{key}: {value}" for key, value in (good | change).items()]
        yield str(change), "\n".join(["NRRD0004", *lines, "", ""]).encode() + pixels


def metaimage(folder: Path) -> Cases:
    stack_files.metaimage(folder / "base.mha")
    yield from broken((folder / "base.mha").read_bytes(), 300)
    stack_files.metaimage(folder / "base.mha", compress=True)
    yield from broken((folder / "base.mha").read_bytes(), 400, 20)
    good = {"ObjectType": "Image", "NDims": "3", "DimSize": "50 40 5", "ElementType": "MET_USHORT"}
    for change in (
        {},
        {"DimSize": "999999 999999 999999"},
        {"DimSize": "50 40 0"},
        {"DimSize": "-50 40 5"},
        {"NDims": "99"},
        {"NDims": "0"},
        {"ElementType": "MET_NOTHING"},
        {"ElementNumberOfChannels": "1000000"},
        {"ElementSpacing": "nan 0 -1"},
        {"HeaderSize": str(ABSURD)},
        {"CompressedData": "True", "CompressedDataSize": str(ABSURD)},
        {"ElementDataFile": "/dev/zero"},
        {"ElementDataFile": "pipe.raw"},
        {"ElementDataFile": "../elsewhere.raw"},
        {"ElementDataFile": "LIST"},
        {"ElementDataFile": "slice%d.raw 1 999999999 1"},
    ):
        told = good | change
        told["ElementDataFile"] = told.pop("ElementDataFile", "LOCAL")
        yield str(change), "".join(f"{k} = {v}\n" for k, v in told.items()).encode() + stack_files.VOLUME.tobytes()


def numpy(folder: Path) -> Cases:
    np.save(folder / "base.npy", stack_files.VOLUME)
    yield from broken((folder / "base.npy").read_bytes(), 128)
    for header in (
        "{'descr': '|O', 'fortran_order': False, 'shape': (5, 40, 50)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1000000000000, 40, 50)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (0, 40, 50)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (-5, 40, 50)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (5,)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<c8', 'fortran_order': True, 'shape': (5, 40, 10)}",
        "{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (5, 40, 50)}",
        "{'descr': '<U9', 'fortran_order': False, 'shape': (5, 4, 5)}",
        "[" * 9000,
        f"{{'descr': '<u2', 'fortran_order': False, 'shape': ({'9' * 5000},)}}",
        "__import__('os').system('touch ran')",
    ):
        text = header.encode() + b"\n"
        yield header[:80], b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + stack_files.VOLUME.tobytes()
    buffer = BytesIO()
    np.save(buffer, np.array([[print, 1]], object), allow_pickle=True)
    yield "pickle", buffer.getvalue()


def png(folder: Path) -> Cases:
    from zlib import compress, crc32

    from PIL import Image

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    buffer = BytesIO()
    Image.fromarray(stack_files.COLOUR[0]).save(buffer, "png")
    yield from broken(buffer.getvalue(), 60)
    for width, height, depth, colour in (
        (2**31 - 1, 2**31 - 1, 16, 6),
        (60000, 60000, 8, 2),
        (12000, 12000, 8, 0),
        (0, 40, 8, 0),
        (40, 0, 8, 0),
        (40, 40, 3, 0),
        (40, 40, 8, 9),
    ):
        head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        parts = (chunk(b"IHDR", head), chunk(b"IDAT", compress(bytes(1000))), chunk(b"IEND", b""))
        yield f"{width} x {height}, {depth}, {colour}", b"\x89PNG\r\n\x1a\n" + b"".join(parts)
        text = chunk(b"zTXt", b"a\0\0" + compress(bytes(100 * 2**20)))
        yield f"text, {width} x {height}", b"\x89PNG\r\n\x1a\n" + parts[0] + text + parts[1] + parts[2]


def jpeg(folder: Path) -> Cases:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(stack_files.COLOUR[0]).save(buffer, "jpeg")
    yield from broken(buffer.getvalue(), 200)


def dicom(folder: Path) -> Cases:
    def one(**changes: Any) -> bytes:
        def change(header: Any, index: int) -> None:
            for name, value in changes.items():
                setattr(header, name, value)

        return next(stack_files.dicom(folder / "series", stack_files.VOLUME[:1], change).iterdir()).read_bytes()

    yield from broken(one(), 900, 60)
    for change in (
        {"NumberOfFrames": 999_999_999},
        {"NumberOfFrames": 0},
        {"NumberOfFrames": -3},
        {"Rows": 0},
        {"Rows": 65535, "Columns": 65535},
        {"BitsAllocated": 0},
        {"BitsAllocated": 12},
        {"BitsStored": 0},
        {"SamplesPerPixel": 4},
        {"SamplesPerPixel": 0},
        {"PhotometricInterpretation": "NOTHING"},
        {"PixelRepresentation": 9},
        {"RescaleSlope": "nan"},
        {"RescaleIntercept": "inf"},
        {"WindowCenter": "nan", "WindowWidth": "400"},
        {"WindowCenter": "40", "WindowWidth": "nan"},
        {"WindowWidth": "-inf"},
        {"PixelSpacing": ["nan", "nan"]},
        {"PixelSpacing": ["0", "0"]},
        {"ImagePositionPatient": ["nan", "0", "0"]},
        {"ImageOrientationPatient": ["nan"] * 6},
        {"ImageOrientationPatient": [0] * 6},
        {"InstanceNumber": None},
        {"PixelData": b""},
    ):
        yield str(change), one(**change)


def zarr(folder: Path) -> Iterator[tuple[str, Path]]:
    """Change the metadata of arrays in both versions."""
    for version in ("0.4", "0.5"):
        base = stack_files.ome_zarr(folder / f"base{version}", version=version)
        name = "zarr.json" if version == "0.5" else ".zarray"
        told = json.loads((base / "0" / name).read_text())
        chunks: Callable[[Any], dict[str, Any]] = (
            (lambda shape: {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}}})
            if version == "0.5"
            else (lambda shape: {"chunks": shape})
        )
        dtype = "data_type" if version == "0.5" else "dtype"
        codecs = "codecs" if version == "0.5" else "compressor"
        changes: list[Any] = [
            {"shape": [ABSURD] * 3},
            {"shape": [5, 10**6, 10**6], **chunks([1, 1, 1])},
            {"shape": [5, 10**6, 10**6], **chunks([1, 10**6, 10**6])},
            {"shape": [ABSURD] * 3, **chunks([ABSURD] * 3)},
            {"shape": [0, 40, 50]},
            {"shape": [-5, 40, 50]},
            {"shape": [5]},
            {"shape": []},
            {"shape": None},
            chunks([0, 0, 0]),
            chunks([-1, 16, 16]),
            chunks([1, 16]),
            {dtype: "|O"},
            {dtype: "nothing"},
            {dtype: "complex64"},
            {codecs: [{"name": "nothing"}] if version == "0.5" else {"id": "pickle"}},
            {codecs: []},
            {"fill_value": "NaN"},
            {"zarr_format": 9},
        ]
        for number, change in enumerate(changes):
            path = folder / f"{version}-{number}.zarr"
            shutil.copytree(base, path)
            (path / "0" / name).write_text(json.dumps(told | change))
            yield f"{version} {change}", path
            shutil.rmtree(path)
        attributes = "zarr.json" if version == "0.5" else ".zattrs"
        group = json.loads((base / attributes).read_text())
        image = (group["attributes"]["ome"] if version == "0.5" else group)["multiscales"][0]
        good = dict(image)
        for change in (
            {"axes": None},
            {"axes": []},
            {"axes": [{"name": "y"}] * 3},
            {"axes": [{"nothing": 1}] * 3},
            {"datasets": []},
            {"datasets": None},
            {"datasets": [{"path": "../../elsewhere"}]},
            {"datasets": [{"path": "nothing"}]},
            {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": ["a", None, {}]}]}]},
            {"coordinateTransformations": [{"type": "scale", "scale": [float("nan"), 0, -1]}]},
        ):
            image.clear()
            image.update(good | change)
            path = folder / f"{version}-image.zarr"
            shutil.copytree(base, path)
            (path / attributes).write_text(json.dumps(group))
            yield f"{version} {change}", path
            shutil.rmtree(path)
        for name_, data in broken((base / "0" / name).read_bytes(), 300, 20):
            path = folder / f"{version}-flip.zarr"
            shutil.copytree(base, path)
            (path / "0" / name).write_bytes(data)
            yield f"{version} {name_}", path
            shutil.rmtree(path)


SUFFIXES = {
    tiff: ".tif",
    nifti: ".nii",
    nifti_gz: ".nii.gz",
    nrrd: ".nrrd",
    metaimage: ".mha",
    numpy: ".npy",
    png: ".png",
    jpeg: ".jpg",
    dicom: ".dcm",
}
KINDS = {maker.__name__: maker for maker in (*SUFFIXES, zarr)}


def read(path: Path) -> None:
    """Read as the commands do: the first and the last plane, and the grey values shown."""
    with open_stack(path) as stack:
        assert all(size > 0 for size in stack.shape)
        assert all(np.isfinite(stack.spacing))
        for place in (0, -1):
            np.asarray(stack.data[(place,) * (len(stack.axes) - 2)])
        limits = stack.contrast_limits
        assert limits is None or (np.isfinite(limits).all() and limits[0] < limits[1]), limits


def files(kind: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Write the files of a kind, one at a time."""
    maker = KINDS[kind]
    if maker is zarr:
        yield from zarr(folder)
        return
    path = folder / f"hostile{SUFFIXES[maker]}"
    for name, data in maker(folder):
        path.write_bytes(data)
        yield name, path


def main(kind: str, folder: Path) -> None:
    """Read all files of a kind; print the names of all, and what is raised that is no InputError."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    count = {"read": 0, "refused": 0}
    for name, path in files(kind, folder):
        sys.stderr.write(f"{name}\n")
        sys.stderr.flush()
        for reader in (read, read_plane) if path.is_file() else (read,):
            try:
                reader(path)
                count["read"] += 1
            except InputError as error:
                assert str(error), name
                count["refused"] += 1
            except Exception:
                sys.stdout.write(f"{kind}, {name}, {reader.__name__}: {traceback.format_exc()}\n")
    assert min(count.values()) > 0, count


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
