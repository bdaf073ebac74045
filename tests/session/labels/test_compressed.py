from __future__ import annotations

import numpy as np
import pytest

from napari_sam.session.labels.compressed import CompressedArray


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, ">i8"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 7), (2, 3, 5)])
@pytest.mark.parametrize("most", [1, 2, 200])
def test_arrays_come_back_as_they_were(dtype, shape, most):
    array = np.random.default_rng(0).integers(0, most, shape).astype(dtype)
    for one in (array, array.T, array[..., ::-1] if shape else array):
        back = CompressedArray.of(one).array()
        assert (back.dtype, back.shape) == (one.dtype, one.shape)
        np.testing.assert_array_equal(back, one)


def test_arrays_take_little_room():
    y, x = np.ogrid[:1000, :1000]
    disc = y**2 + x**2 < 900**2
    assert CompressedArray.of(disc).nbytes < 20_000
    assert CompressedArray.of(np.full(1_000_000, 7, np.int32)).nbytes == 4
    kept = CompressedArray.of(disc)
    assert kept.nbytes == len(kept.contents)
