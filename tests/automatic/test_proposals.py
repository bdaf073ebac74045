from dataclasses import replace

import numpy as np
import pytest
from fake_predictor import FakePredictor, discs

from napari_sam.automatic import QUICK, DenseSettings, Proposal, ProposalFilter, ProposalTable, find_proposals
from napari_sam.automatic.laying import lay, renumbered
from napari_sam.errors import InputError
from napari_sam.masks import BoxedMask

PLANE = (40, 60)


def rectangle(rows: slice, columns: slice) -> BoxedMask:
    mask = np.zeros(PLANE, bool)
    mask[rows, columns] = True
    return BoxedMask.of(mask)


def disc(y: float, x: float, radius: float) -> BoxedMask:
    return BoxedMask.of(discs(PLANE, (y, x, radius)) > 0)


def table(*proposals: Proposal) -> ProposalTable:
    return ProposalTable.of(proposals, np.zeros(PLANE))


def left(labels: np.ndarray) -> list[int]:
    return [int(label) - 1 for label in np.unique(labels) if label]


def test_the_best_comes_first_by_score_and_stability():
    one, two = rectangle(slice(0, 5), slice(0, 5)), rectangle(slice(9, 15), slice(0, 5))
    found = table(Proposal(one, 0.9, 0.5), Proposal(two, 0.6, 1.0), Proposal(one, 0.6, 1.0))
    assert [proposal.rank for proposal in found.proposals] == [0.6, 0.6, 0.45]
    assert found.proposals[0].mask is two  # found before the other one of its rank


def test_what_a_filter_asks_for_is_measured():
    pixels = np.zeros(PLANE)
    pixels[20:30] = 10
    long = rectangle(slice(25, 27), slice(0, 60))
    found = ProposalTable.of([Proposal(disc(10, 10, 8), 0.9), Proposal(long, 0.8)], pixels)
    assert found.area.tolist() == [int((discs(PLANE, (10, 10, 8)) > 0).sum()), 120]
    assert found.intensity.tolist() == [0, 10]
    assert found.roundness[0] > 0.9
    assert found.roundness[1] < 0.2


def test_the_mean_of_a_colour_picture_is_that_of_its_channels():
    pixels = np.zeros((*PLANE, 3), np.uint8)
    pixels[..., 0] = 30
    found = ProposalTable.of([Proposal(rectangle(slice(0, 9), slice(0, 9)), 1.0)], pixels)
    assert found.intensity.tolist() == [10]


def test_other_masks_are_measured_in_the_same_order_and_empty_ones_are_not_wanted():
    pixels = np.arange(PLANE[0] * PLANE[1], dtype=float).reshape(PLANE)
    found = ProposalTable.of([Proposal(disc(10, 10, 8), 0.9), Proposal(disc(30, 30, 4), 0.8)], pixels)
    empty, small = BoxedMask((0, 0), np.zeros((0, 0), bool), PLANE), disc(30, 30, 2)
    cleaned = found.with_masks([empty, small], pixels)
    assert cleaned.area.tolist() == [0, small.area]
    assert cleaned.intensity[1] == pytest.approx(pixels[small.box][small.mask].mean())
    assert cleaned.wanted(ProposalFilter()).tolist() == [False, True]
    assert left(cleaned.selected(ProposalFilter())) == [1]
    assert cleaned.score.tolist() == [0.9, 0.8]


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (ProposalFilter(), [0, 1, 2]),
        (ProposalFilter(score=0.85), [0]),
        (ProposalFilter(stability=0.95), [0, 2]),
        (ProposalFilter(area=(10, 100)), [1]),
        (ProposalFilter(roundness=0.5), [0, 1]),
        (ProposalFilter(intensity=(5, 100)), [2]),
        (ProposalFilter(intensity=(-5, 5)), [0, 1]),
    ],
)
def test_each_bound_of_a_filter(chosen, wanted):
    pixels = np.zeros(PLANE)
    pixels[36:] = 10
    proposals = [
        Proposal(disc(10, 10, 8), 0.9, 1.0),
        Proposal(disc(10, 40, 4), 0.8, 0.9),
        Proposal(rectangle(slice(37, 39), slice(0, 60)), 0.5, 1.0),
    ]
    found = ProposalTable.of(proposals, pixels)
    assert np.flatnonzero(found.wanted(chosen)).tolist() == wanted
    assert left(found.selected(chosen)) == wanted


def test_a_match_counts_where_objects_were_compared_with_something():
    found = table(*(Proposal(rectangle(slice(9 * i, 9 * i + 8), slice(0, 9)), 0.9) for i in range(3)))
    assert found.wanted(ProposalFilter(match=0.5)).all()
    found = replace(found, match=np.array([0.5, 0.4, 0.9]))
    assert found.wanted(ProposalFilter(match=0.5)).tolist() == [True, False, True]
    assert left(found.selected(ProposalFilter(match=0.6))) == [2]


def test_of_two_that_overlap_the_better_one_stays_whole():
    better, worse = rectangle(slice(0, 10), slice(0, 10)), rectangle(slice(0, 10), slice(6, 20))
    found = table(Proposal(worse, 0.7), Proposal(better, 0.9))
    labels = found.selected(ProposalFilter(overlap=0.5))
    assert (labels > 0).sum() == 200
    assert np.count_nonzero(labels == 1) == 100  # the better one is whole, the other has what is left
    assert left(found.selected(ProposalFilter(overlap=0.3))) == [0]


def test_a_mask_of_which_little_is_free_is_left_out():
    sides = [rectangle(slice(0, 10), slice(0, 4)), rectangle(slice(0, 10), slice(6, 10))]
    middle, right = rectangle(slice(0, 10), slice(2, 8)), rectangle(slice(0, 10), slice(2, 12))
    # It has a third in common with each of two, and so a third is free.
    assert left(lay([*sides, middle], PLANE, overlap=0.9)) == [0, 1]
    assert left(lay([sides[0], middle], PLANE, overlap=0.9)) == [0, 1]
    assert left(lay([sides[0], right], PLANE, overlap=0.9, least_area=80, kept=1)) == [0, 1]
    assert left(lay([sides[0], right], PLANE, overlap=0.9, least_area=81, kept=1)) == [0]


def test_what_a_person_marked_is_kept_or_dropped_whatever_the_filter_says():
    low, high = rectangle(slice(0, 10), slice(0, 10)), rectangle(slice(0, 10), slice(2, 12))
    found = table(Proposal(low, 0.1), Proposal(high, 0.9))
    chosen = ProposalFilter(score=0.5)
    assert left(found.selected(chosen)) == [0]
    assert left(found.selected(chosen, {1: True})) == [1]  # and so the better one has too much in common with it
    assert left(found.selected(chosen, {0: False})) == []


def test_other_objects_are_respected():
    proposals = table(Proposal(rectangle(slice(0, 10), slice(0, 10)), 0.9), Proposal(disc(25, 30, 8), 0.8))
    taken = np.zeros(PLANE, bool)
    taken[:, :4] = True
    labels = proposals.selected(ProposalFilter(), taken=taken)
    assert left(labels) == [0, 1]
    assert not labels[taken].any()
    assert np.count_nonzero(labels == 1) == 60
    taken[:, :6] = True  # more than half of the first
    assert left(proposals.selected(ProposalFilter(), taken=taken)) == [1]
    assert np.count_nonzero(proposals.selected(ProposalFilter(), {0: True}, taken) == 1) == 40


def test_what_lies_under_a_pixel_comes_smallest_first():
    proposals = table(Proposal(disc(20, 20, 12), 0.9), Proposal(disc(20, 20, 4), 0.5), Proposal(disc(20, 50, 4), 0.7))
    assert [proposals.area[place] for place in proposals.at(20, 21)] == sorted(proposals.area[[0, 2]].tolist())
    assert proposals.at(20, 21).tolist() == [2, 0]
    assert proposals.at(0, 0).tolist() == []


def test_numbers_without_gaps():
    assert renumbered(np.array([[0, 7, 7], [3, 0, 9]], np.int32)).tolist() == [[0, 2, 2], [1, 0, 3]]
    assert renumbered(np.array([[7]], np.int32)).tolist() == [[1]]


@pytest.mark.parametrize("wrong", [{"score": 1.5}, {"overlap": float("nan")}, {"area": (5, 1)}, {"intensity": (2, 1)}])
def test_bounds_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        ProposalFilter(**wrong)


@pytest.mark.parametrize("settings", [DenseSettings(), QUICK])
def test_a_plane_gives_a_proposal_for_each_object(settings):
    circles = discs((90, 120), (30, 30, 16), (30, 61, 16), (60, 95, 12))
    predictor = FakePredictor(circles, scores={1: 0.2})
    found = find_proposals(predictor, predictor.embedding, settings)
    assert sorted(proposal.mask.area for proposal in found) == sorted(np.bincount(circles.ravel())[1:].tolist())
    if settings.refine:
        assert min(proposal.score for proposal in found) == pytest.approx(0.2)  # it is the person who chooses
        assert all(circles[tuple(map(round, proposal.point))] for proposal in found)
