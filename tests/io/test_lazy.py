from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from napari_sam.io.formats.lazy import full_key

SHAPE = (4, 5, 6)


@given(hnp.basic_indices(SHAPE, allow_newaxis=False))
def test_the_full_key_reads_what_numpy_reads(key):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, slice) and (part.step or 1) < 0 for part in parts):
        with pytest.raises(IndexError, match="forwards"):
            full_key(key, SHAPE)
    else:
        full = full_key(key, SHAPE)
        assert len(full) == len(SHAPE)
        np.testing.assert_array_equal(array[full], array[key])


@pytest.mark.parametrize("key", [4, -5, (0, 5), (0, 0, 0, 0), (..., 0, ...), (..., 0, 0, 0, 0)], ids=str)
def test_what_lies_outside_is_refused(key):
    with pytest.raises(IndexError):
        full_key(key, SHAPE)
