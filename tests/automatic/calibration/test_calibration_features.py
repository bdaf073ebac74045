import numpy as np

from napari_sam.automatic import Proposal, ProposalTable
from napari_sam.automatic.calibration import FEATURES, measure_features
from napari_sam.masks import BoxedMask

PLANE = (40, 60)


def square(top: int, left: int, side: int) -> BoxedMask:
    return BoxedMask((top, left), np.ones((side, side), bool), PLANE)


def column(name: str, pixels: np.ndarray, *proposals: Proposal) -> np.ndarray:
    table = ProposalTable.of(proposals, pixels, smallest_first=True)
    return measure_features(table, pixels)[:, FEATURES.index(name)]


def test_what_the_model_said_is_taken_over():
    proposal = Proposal(square(5, 5, 8), 0.9, 0.8, foreground=0.7)
    values = measure_features(ProposalTable.of([proposal], np.zeros(PLANE)), np.zeros(PLANE))
    assert values.shape == (1, len(FEATURES))
    assert values[0, :3].tolist() == [0.9, 0.8, 0.7]
    assert np.isclose(values[0, FEATURES.index("log_area")], np.log(64))


def test_an_outline_where_the_grey_values_change_has_contrast():
    pixels = np.zeros(PLANE)
    pixels[10:20, 10:20] = 100
    on, off = Proposal(square(10, 10, 10), 1.0), Proposal(square(25, 30, 11), 1.0)
    contrast = column("contrast", pixels, on, off)
    assert np.isclose(contrast[0], 100 / pixels.std())
    assert contrast[1] == 0


def test_the_channel_with_the_most_contrast_counts():
    pixels = np.zeros((*PLANE, 3))
    pixels[10:20, 10:20, 2] = 90
    (contrast,) = column("contrast", pixels, Proposal(square(10, 10, 10), 1.0))
    assert np.isclose(contrast, 90 / pixels.mean(axis=2).std())


def test_exposure_and_bit_depth_do_not_count():
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 200, PLANE).astype(np.uint8)
    proposals = [Proposal(square(4, 4, 9), 0.8), Proposal(square(20, 30, 12), 0.9)]
    brighter = pixels.astype(np.uint16) * 37 + 1000
    for name in ("brightness", "contrast"):
        assert np.allclose(column(name, pixels, *proposals), column(name, brighter, *proposals), rtol=1e-4, atol=1e-4)


def test_an_object_that_fills_the_plane_and_a_plane_of_one_grey_value_have_no_contrast():
    whole = Proposal(BoxedMask((0, 0), np.ones(PLANE, bool), PLANE), 1.0)
    values = measure_features(ProposalTable.of([whole], np.full(PLANE, 7)), np.full(PLANE, 7))
    assert np.isfinite(values).all()
    assert values[0, FEATURES.index("contrast")] == 0


def test_no_proposals_have_no_features():
    empty = ProposalTable.of([], np.zeros(PLANE))
    assert measure_features(empty, np.zeros(PLANE)).shape == (0, len(FEATURES))
