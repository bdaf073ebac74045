"""Real stack files of every kind, made with the libraries that other programs make them with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SPACING = (1.5, 0.25, 0.2)
MICROMETERS = ("micrometer",) * 3
MILLIMETERS = ("millimeter",) * 3
VOLUME: NDArray[np.uint16] = np.random.default_rng(0).integers(0, 4000, (5, 40, 50), dtype=np.uint16)
COLOUR: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 255, (4, 40, 50, 3), dtype=np.uint8)
# Oblique and left-handed, as scanners give them: x to the left, tilted in y and z. RAS millimetres.
AFFINE = np.array([[-0.2, 0, 0, 11], [0, 0.24, -0.42, -7], [0, 0.07, 1.44, 3], [0, 0, 0, 1]])

OME = {
    "PhysicalSizeX": 0.2,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": 250,
    "PhysicalSizeYUnit": "nm",
    "PhysicalSizeZ": 0.0015,
    "PhysicalSizeZUnit": "mm",
}


def imagej(path: Path, volume: NDArray[Any] = VOLUME, axes: str = "ZYX", **options: Any) -> Path:
    metadata = {"axes": axes, "spacing": SPACING[0], "unit": "micron", "finterval": 2.5}
    resolution = (1 / SPACING[2], 1 / SPACING[1])
    tifffile.imwrite(path, volume, imagej=True, resolution=resolution, metadata=metadata, **options)
    return path


def ome(path: Path, volume: NDArray[Any] = VOLUME, axes: str = "ZYX", **options: Any) -> Path:
    tifffile.imwrite(path, volume, ome=True, metadata={"axes": axes, **OME}, **options)
    return path


def nifti(path: Path, volume: NDArray[Any] = VOLUME, affine: NDArray[Any] = AFFINE, **header: float) -> Path:
    import nibabel

    image = nibabel.Nifti1Image(volume.T, affine)
    image.header.set_xyzt_units("mm", "sec")
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def ome_zarr(
    path: Path, volume: NDArray[Any] = VOLUME, axes: str = "zyx", version: str = "0.5", **metadata: Any
) -> Path:
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    steps = dict(zip("zyx", SPACING, strict=True))
    datasets = []
    for level, factor in enumerate((1, 2)):
        data = volume[..., ::factor, ::factor]
        array = group.create_array(
            str(level), shape=data.shape, chunks=(*(1,) * (data.ndim - 2), 16, 16), dtype=data.dtype
        )
        array[:] = data
        scale = [steps.get(axis, 1.0) * (factor if axis in "yx" else 1) for axis in axes]
        datasets.append({"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    described = [{"name": a, "type": "space", "unit": "micrometer"} if a in "zyx" else {"name": a} for a in axes]
    multiscales = [{"axes": described, "datasets": datasets}]
    if version == "0.4":
        group.attrs.update({"multiscales": [{"version": "0.4", **multiscales[0]}], **metadata})
    else:
        group.attrs.update({"ome": {"version": "0.5", "multiscales": multiscales, **metadata}})
    return path


def metaimage(path: Path, volume: NDArray[Any] = VOLUME, compress: bool = False) -> Path:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((11, 7, 3))
    image.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    SimpleITK.WriteImage(image, str(path), compress)
    return path


def dicom(
    folder: Path, volume: NDArray[Any] = VOLUME, change: Callable[[Any, int], None] = lambda header, index: None
) -> Path:
    """Write a CT series, its files in the opposite order of their places, with one grey value 1000 below the stored."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(exist_ok=True)
    series = generate_uid()
    for index, plane in enumerate(volume):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"slice{len(volume) - index}.dcm"
        header = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
        header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        header.SeriesInstanceUID, header.SeriesDescription, header.Modality = series, "thin", "CT"
        header.Rows, header.Columns = plane.shape
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 0
        header.PixelSpacing, header.InstanceNumber = [SPACING[1], SPACING[2]], index + 1
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        header.ImagePositionPatient = [10, 20, 30 + SPACING[0] * index]
        header.RescaleSlope, header.RescaleIntercept = 1, -1000
        header.WindowCenter, header.WindowWidth = 40, 400
        header.PixelData = plane.astype("<u2").tobytes()
        change(header, index)
        header.save_as(path, enforce_file_format=True)
    return folder
