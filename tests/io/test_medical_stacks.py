from __future__ import annotations

import numpy as np
import pytest
from stack_files import AFFINE, MILLIMETERS, SPACING, VOLUME, dicom, metaimage, nifti

from napari_sam.errors import InputError
from napari_sam.io.stacks import open_stack


class TestNifti:
    nibabel = pytest.importorskip("nibabel")

    @pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
    def test_voxels_are_where_the_file_has_them_with_axes_turned_around(self, tmp_path, name):
        with open_stack(nifti(tmp_path / name)) as stack:
            assert (stack.axes, stack.units) == ("zyx", MILLIMETERS)
            assert stack.spacing == pytest.approx(np.linalg.norm(AFFINE[:3, :3], axis=0)[::-1], rel=1e-6)
            np.testing.assert_allclose(stack.affine, AFFINE, atol=1e-6)
            np.testing.assert_array_equal(stack.data[3], VOLUME[3])
            np.testing.assert_array_equal(stack.data[:, 3], VOLUME[:, 3])
            np.testing.assert_array_equal(np.asarray(stack.data), VOLUME)
            assert stack.data.dtype == np.uint16

    def test_scaled_values_window_and_time(self, tmp_path):
        series = np.stack([VOLUME, VOLUME + 1]).astype(np.int16)
        image = self.nibabel.Nifti1Image(series.T, AFFINE)
        image.header.set_slope_inter(0.5, -10)
        image.header.set_xyzt_units("mm", "msec")
        image.header.set_zooms((*image.header.get_zooms()[:3], 40))
        image.header["cal_min"], image.header["cal_max"] = 5, 60
        self.nibabel.save(image, tmp_path / "a.nii")
        with open_stack(tmp_path / "a.nii") as stack:
            assert (stack.axes, stack.spacing[0], stack.units[0]) == ("tzyx", 40, "millisecond")
            assert stack.contrast_limits == (5, 60)
            written = self.nibabel.load(tmp_path / "a.nii").get_fdata().T
            assert not np.array_equal(written, series)
            np.testing.assert_allclose(stack.data[1, 2], written[1, 2])

    def test_a_trailing_axis_of_length_one_is_left_out(self, tmp_path):
        with open_stack(nifti(tmp_path / "a.nii", VOLUME[None])) as stack:
            assert (stack.axes, stack.shape) == ("zyx", VOLUME.shape)

    def test_a_plain_file_is_mapped_and_of_a_compressed_one_each_plane_is_read_once(self, tmp_path, monkeypatch):
        with open_stack(nifti(tmp_path / "a.nii")) as stack:
            assert isinstance(stack.data, np.memmap)
        path = nifti(tmp_path / "a.nii.gz")
        read = []
        proxy = self.nibabel.arrayproxy.ArrayProxy
        get = proxy.__getitem__
        monkeypatch.setattr(proxy, "__getitem__", lambda p, key: read.append(key[-1]) or get(p, key))
        with open_stack(path) as stack:
            np.testing.assert_array_equal(stack.data[2], VOLUME[2])
            assert read == [2]
            for row in (7, 8):
                np.testing.assert_array_equal(stack.data[:, row], VOLUME[:, row])
            assert sorted(read) == [0, 1, 2, 3, 4]

    def test_cut_files_are_named(self, tmp_path):
        path = nifti(tmp_path / "a.nii")
        path.write_bytes(path.read_bytes()[:-99])
        with pytest.raises(InputError, match=r"a\.nii cannot be read.*damaged"):
            open_stack(path)
        path = nifti(tmp_path / "b.nii.gz")
        path.write_bytes(path.read_bytes()[:-999])
        with open_stack(path) as stack:
            np.testing.assert_array_equal(stack.data[1], VOLUME[1])
            with pytest.raises(InputError, match=r"Plane 4 of .*b\.nii\.gz cannot be read"):
                _ = stack.data[4]

    def test_what_is_no_nifti_and_what_holds_no_real_numbers(self, tmp_path):
        (tmp_path / "a.nii").write_bytes(b"nothing of the kind" * 40)
        with pytest.raises(InputError, match=r"a\.nii cannot be read"):
            open_stack(tmp_path / "a.nii")
        with pytest.raises(InputError, match="complex64"):
            open_stack(nifti(tmp_path / "c.nii", VOLUME.astype(np.complex64)))


class TestDicom:
    pydicom = pytest.importorskip("pydicom")

    def test_slices_are_sorted_by_place_rescaled_and_placed(self, tmp_path):
        folder = dicom(tmp_path / "ct")
        (folder / "README.txt").write_text("not a slice")
        with open_stack(folder) as stack:
            assert (stack.axes, stack.shape, stack.units) == ("zyx", VOLUME.shape, MILLIMETERS)
            assert stack.spacing == pytest.approx(SPACING)
            np.testing.assert_array_equal(stack.data[3], VOLUME[3].astype(int) - 1000)
            assert np.issubdtype(stack.data.dtype, np.signedinteger)
            assert stack.contrast_limits == (-160, 239)  # centre 40, width 400
            assert stack.planes(0, (0, None, None)).contrast_limits == (-160, 239)
            # LPS to RAS: x and y change their sign.
            expected = np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1])
            expected[:3, 3] = -10, -20, 30
            np.testing.assert_allclose(stack.affine, expected)

    def test_only_the_slice_that_is_asked_for_is_decoded(self, tmp_path, monkeypatch):
        decoded = []
        read = self.pydicom.pixels.pixel_array
        monkeypatch.setattr(self.pydicom.pixels, "pixel_array", lambda p, **k: decoded.append(p.name) or read(p, **k))
        with open_stack(dicom(tmp_path / "ct")) as stack:
            _ = stack.contrast_limits
            assert decoded == []
            _ = stack.data[1]
            assert decoded == ["slice4.dcm"]

    def test_a_missing_slice_is_refused_with_the_names_beside_it(self, tmp_path):
        folder = dicom(tmp_path / "ct")
        (folder / "slice3.dcm").unlink()
        with pytest.raises(InputError, match=r"not evenly spaced: between slice4.dcm and slice2.dcm it is 3.00 mm"):
            open_stack(folder)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda h, i: setattr(h, "SeriesInstanceUID", f"1.2.{i // 3}"), "several series: thin"),
            (lambda h, i: setattr(h, "PixelSpacing", [1 + i // 4, 1]), "pixel spacing"),
            (
                lambda h, i: setattr(h, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]) if i == 2 else None,
                "orientation",
            ),
            (lambda h, i: setattr(h, "ImagePositionPatient", [0, 0, i // 2]), "same place"),
        ],
    )
    def test_what_does_not_belong_together_is_refused(self, tmp_path, change, words):
        with pytest.raises(InputError, match=words):
            open_stack(dicom(tmp_path / "ct", change=change))

    def test_series_without_places_goes_by_number_and_says_so(self, tmp_path):
        def change(header, index):
            del header.ImagePositionPatient
            header.SliceThickness = 2

        with open_stack(dicom(tmp_path / "ct", change=change)) as stack:
            assert stack.spacing[0] == 2 and stack.affine is None and "do not say where" in stack.notes[0]
            np.testing.assert_array_equal(stack.data[4], VOLUME[4].astype(int) - 1000)

    def test_fractional_rescaling_makes_floats(self, tmp_path):
        with open_stack(dicom(tmp_path / "pet", change=lambda h, i: setattr(h, "RescaleSlope", 0.5 + i))) as stack:
            assert stack.data.dtype == np.float32
            np.testing.assert_allclose(stack.data[2], VOLUME[2] * 2.5 - 1000)

    def test_one_file_is_one_plane_and_frames_of_a_file_are_a_stack(self, tmp_path):
        folder = dicom(tmp_path / "ct", VOLUME[:1])
        with open_stack(folder / "slice1.dcm") as stack:
            assert stack.axes == "yx"

        def frames(header, _):
            header.NumberOfFrames, header.FrameTime = 5, 40
            header.PixelData = VOLUME.tobytes()

        with open_stack(dicom(tmp_path / "film", VOLUME[:1], frames) / "slice1.dcm") as stack:
            assert (stack.axes, stack.shape, stack.spacing[0], stack.units[0]) == (
                "tyx",
                VOLUME.shape,
                40,
                "millisecond",
            )
            np.testing.assert_array_equal(stack.data[4], VOLUME[4].astype(int) - 1000)

    def test_enhanced_file_takes_places_and_scale_from_its_groups(self, tmp_path):
        Dataset = self.pydicom.Dataset

        def sequence(**values):
            item = Dataset()
            for name, value in values.items():
                setattr(item, name, value)
            return [item]

        def enhance(header, _):
            header.NumberOfFrames, header.PixelData = 5, VOLUME.tobytes()
            for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope"):
                del header[name]
            header.SharedFunctionalGroupsSequence = sequence(
                PlaneOrientationSequence=sequence(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
                PixelMeasuresSequence=sequence(PixelSpacing=list(SPACING[1:])),
                PixelValueTransformationSequence=sequence(RescaleSlope=2, RescaleIntercept=-7),
            )
            header.PerFrameFunctionalGroupsSequence = [
                *(
                    sequence(PlanePositionSequence=sequence(ImagePositionPatient=[0, 0, -SPACING[0] * at]))[0]
                    for at in range(5)
                )
            ]

        with open_stack(dicom(tmp_path / "mr", VOLUME[:1], enhance)) as stack:
            assert stack.spacing == pytest.approx(SPACING)
            np.testing.assert_array_equal(stack.data[0], VOLUME[4].astype(int) * 2 - 7)  # the lowest frame is the last

    def test_cut_slice_and_what_is_no_dicom(self, tmp_path):
        folder = dicom(tmp_path / "ct")
        path = folder / "slice5.dcm"
        path.write_bytes(path.read_bytes()[:-999])
        with open_stack(folder) as stack, pytest.raises(InputError, match=r"Plane 0 of .*damaged"):
            _ = stack.data[0]
        (tmp_path / "a.dcm").write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=r"a\.dcm cannot be read"):
            open_stack(tmp_path / "a.dcm")


class TestItk:
    itk = pytest.importorskip("SimpleITK")

    @pytest.mark.parametrize(
        ("name", "compress"), [("a.mha", False), ("a.mha", True), ("a.nrrd", False), ("a.nrrd", True)]
    )
    def test_volume_with_its_place(self, tmp_path, name, compress):
        with open_stack(metaimage(tmp_path / name, compress=compress)) as stack:
            assert (stack.axes, stack.units) == ("zyx", MILLIMETERS)
            assert stack.spacing == pytest.approx(SPACING)
            np.testing.assert_array_equal(stack.data[3], VOLUME[3])
            np.testing.assert_array_equal(np.asarray(stack.data), VOLUME)
            # In LPS a step in x goes to the back and one in y to the left's opposite.
            lps = np.array([[0, -SPACING[1], 0, 11], [SPACING[2], 0, 0, 7], [0, 0, SPACING[0], 3], [0, 0, 0, 1]])
            np.testing.assert_allclose(stack.affine, np.diag([-1, -1, 1, 1]) @ lps)

    def test_plain_metaimage_is_read_plane_by_plane(self, tmp_path):
        path = metaimage(tmp_path / "a.mha")
        with open_stack(path) as stack:
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size - VOLUME[0].nbytes)
            np.testing.assert_array_equal(stack.data[2], VOLUME[2])
            with pytest.raises(InputError, match=r"Plane 4 of .*a\.mha"):
                _ = stack.data[4]

    def test_what_is_no_metaimage(self, tmp_path):
        (tmp_path / "a.mha").write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=r"a\.mha cannot be read"):
            open_stack(tmp_path / "a.mha")
