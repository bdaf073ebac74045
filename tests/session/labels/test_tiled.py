"""Labels on disk in tiles are read and written as NumPy does, and a full disk changes nothing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from cachetools import LRUCache
from label_scenery import array
from session_scenery import DISCS, accept

from napari_sam.session.labels.tiled import TiledLabels


@pytest.fixture
def tiles():
    """Labels of 20 x 30 x 40 pixels in tiles of 4 x 8 x 16."""
    return TiledLabels(array((20, 30, 40), chunks=(4, 8, 16)))


@pytest.mark.parametrize("seed", range(40))
def test_tiles_read_and_write_as_numpy_does(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 12, rng.integers(1, 5)))
    store = array(shape, chunks=tuple(int(n) for n in rng.integers(1, 6, len(shape))))
    ours, theirs = TiledLabels(store), np.zeros(shape, np.int32)
    ours._cache = LRUCache(2)  # so that tiles come back from the store
    for _ in range(20):
        key = any_key(rng, shape)
        value = rng.integers(0, 3, theirs[key].shape) if rng.random() < 0.5 and not listed(key) else rng.integers(0, 3)
        if rng.random() < 0.7:
            ours[key] = value
            theirs[key] = value
        assert np.array_equal(ours[key], theirs[key]) and np.shape(ours[key]) == np.shape(theirs[key])
    assert np.array_equal(ours, theirs) and np.array_equal(store[...], theirs)
    assert ours.max_label == theirs.max()


def listed(key):
    return isinstance(key[0], np.ndarray)


def any_key(rng, shape):
    """Anything that a layer's data are indexed with."""
    if rng.random() < 0.3:
        return tuple(rng.integers(-n, n, 15) for n in shape)
    key = []
    for n in shape:
        start, stop = sorted(int(i) for i in rng.integers(0, n + 1, 2))
        key.append(
            [int(rng.integers(-n, n)), slice(None), slice(start, stop, int(rng.integers(1, 4)))][rng.integers(3)]
        )
    return (*key[: rng.integers(1, len(shape) + 1)], ...) if rng.random() < 0.3 else tuple(key)


@pytest.mark.parametrize(
    "key",
    [
        (20, 0, 0),
        (0, -31, 0),
        (0, 0, 0, 0),
        (..., ..., 0),
        (slice(None, None, -1),),
        ([0], [99], [0]),
        ([True], [0], [0]),
        (slice(None), [0], [0]),
    ],
)
def test_tiles_refuse_what_they_do_not_hold(tiles, key):
    with pytest.raises(IndexError):
        tiles[key]


def test_a_tile_that_is_emptied_leaves_the_disk(tiles):
    tiles[3, 5:9, 7] = 4
    assert len(tiles.tiles) == 2 and tiles.max_label == 4
    tiles[:] = 0
    assert not tiles.tiles and tiles.max_label == 0 and tiles.store.nchunks_initialized == 0


def test_a_full_disk_changes_nothing(tiles, monkeypatch):
    tiles[0, 0, 0] = 1

    class Full:
        def __setitem__(self, key, value):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiles, "store", Full())
    with pytest.raises(OSError, match="No space"):
        tiles[0, 0, :3] = 7
    assert np.array_equal(tiles[0, 0, :3], [1, 0, 0]) and tiles.max_label == 1


def test_a_disk_that_is_full_in_the_middle_of_an_object_takes_nothing_of_it(tiles, monkeypatch):
    tiles[:, 5:9, 7] = 4
    before = np.asarray(tiles)

    class Filling:
        """A store that takes two more tiles, and then only what replaces them."""

        def __init__(self, store):
            self.store, self.taken = store, []

        def __getitem__(self, key):
            return self.store[key]

        def __setitem__(self, key, value):
            if key not in self.taken and len(self.taken) == 2:
                raise OSError(28, "No space left on device")
            self.taken.append(key)
            self.store[key] = value

    real = tiles.store
    monkeypatch.setattr(tiles, "store", Filling(real))
    with pytest.raises(OSError, match="No space"):
        tiles[:, 6:8, :12] = 9
    monkeypatch.setattr(tiles, "store", Filling(real))
    with pytest.raises(OSError, match="No space"):
        tiles[np.arange(12), np.full(12, 6), np.zeros(12, int)] = 9
    monkeypatch.setattr(tiles, "store", real)
    assert np.array_equal(np.asarray(tiles), before)
    assert tiles.max_label == 4


def test_a_duplicated_layer_has_a_folder_of_its_own(large, open_session):
    session = open_session()
    accept(session, 2, *DISCS[0])
    data = session.target.data
    twin = copy.deepcopy(data)
    twin[2, 0, 0] = 9
    assert twin.folder != data.folder and data[2, 0, 0] == 0 and twin.max_label == 9
    assert np.array_equal(np.asarray(twin)[2] == 1, np.asarray(data)[2] == 1)
