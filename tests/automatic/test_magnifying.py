"""Small objects: the parts of a plane that hold them are enlarged and looked at again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fake_predictor import FakeEmbedding, FakePredictor, discs

from napari_sam.automatic import DenseSettings, find_proposals, segment_everything
from napari_sam.automatic.dense import magnified
from napari_sam.automatic.dense.magnified import can_magnify, embed_part, part_proposals
from napari_sam.automatic.dense.parts import Part, enlargement, object_sizes, plan_parts
from napari_sam.geometry import Frame
from napari_sam.predictor import load_predictor
from napari_sam.progress import no_progress

DOTS = discs((150, 210), *((y, x, 3.2) for y in range(12, 145, 14) for x in range(12, 205, 14)))
"""Discs of about 7 pixels, 140 of them."""


def picture(labels: np.ndarray) -> np.ndarray:
    """Bright objects on a dark ground, with some noise."""
    noise = np.random.default_rng(3).normal(0, 6, labels.shape)
    return np.clip(np.where(labels > 0, 190, 30) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def bundled():
    return load_predictor("bundled", "cpu")


@pytest.mark.parametrize("plane", [(300, 700), (2000, 90), (1, 1), (513, 512)])
@pytest.mark.parametrize("factor", [1.0, 1.7, 4.0])
def test_cores_share_a_plane_without_gap_or_overlap(plane, factor):
    frame = Frame(plane, (plane[0] * 2, plane[1] * 2), (4096, 4096))
    owners = np.zeros(plane, int)
    for part in plan_parts(frame, factor):
        (top, left), (bottom, right) = part.core
        owners[top:bottom, left:right] += 1
        assert all(corner <= first for corner, first in zip(part.corner, part.core[0], strict=True))
        ends = [corner + size for corner, size in zip(part.corner, part.size, strict=True)]
        assert all(end >= last for end, last in zip(ends, part.core[1], strict=True))
        assert max(ends[0] / plane[0], ends[1] / plane[1]) <= 1
        assert max(part.size) * 2 * factor <= 513  # model pixels: memory does not grow with the plane
    assert (owners == 1).all()


def test_around_a_core_there_is_room_for_a_whole_object():
    frame = Frame((3000, 3000), (1500, 1500), (1504, 1504))
    for part in plan_parts(frame, 2.0):
        for corner, first in zip(part.corner, part.core[0], strict=True):
            assert corner == 0 or first - corner >= 71  # data pixels: three times the size that is wanted
        for corner, size, last, length in zip(part.corner, part.size, part.core[1], frame.plane, strict=True):
            assert corner + size == length or corner + size - last >= 71


def test_sizes_are_those_that_the_model_sees():
    labels = np.zeros((20, 40), np.int32)
    labels[:4, :9], labels[10:20, 10:20] = 1, 2
    assert object_sizes(labels, Frame((20, 40), (10, 20), (16, 32))) == pytest.approx([3, 5])


@pytest.mark.parametrize(
    ("sizes", "factor"),
    [([], 1), ([17, 60], 1), ([12] * 3, 2), ([12, 12, 90, 300], 2), ([5], 4), ([15.9], 1.51)],
)
def test_small_objects_are_enlarged_to_the_size_that_is_seen_best(sizes, factor):
    assert enlargement(np.array(sizes, float)) == pytest.approx(factor, abs=0.01)


def test_a_part_is_the_plane_enlarged(bundled):
    """What lies at a place of the plane lies at the same place of the part, and is as bright."""
    image = np.zeros((160, 200), np.uint8)
    image[70:80, 100:110] = 255
    embedding = bundled.embed(image)
    part = Part((60, 90), (50, 60), ((60, 90), (110, 150)))
    own = embed_part(bundled, embedding, part, 3.0, no_progress)
    assert own.frame.plane == (50, 60)
    assert own.frame.scale == pytest.approx([3 * scale for scale in embedding.frame.scale], rel=0.02)
    seen = own.features[5][0, 0].float().numpy()
    bright = seen > (seen.min() + seen.max()) / 2
    y, x = (places.mean() for places in np.nonzero(bright))
    assert own.frame.to_data((x, y)) == pytest.approx((74.5 - 60, 104.5 - 90), abs=0.2)
    assert seen.max() == pytest.approx(float(embedding.features[5].max()), abs=0.05)
    assert own.key != embedding.key
    assert own.weights == embedding.weights


def test_parts_of_a_plane_have_keys_of_their_own(bundled):
    embedding = bundled.embed(np.zeros((64, 64), np.uint8))
    one = Part((0, 0), (32, 32), ((0, 0), (32, 32)))
    keys = {
        embed_part(bundled, embedding, part, factor, no_progress).key
        for part, factor in ((one, 2.0), (one, 3.0), (dataclasses.replace(one, corner=(0, 32)), 2.0))
    }
    assert len(keys) == 3


def test_small_objects_are_found_where_they_are(bundled):
    embedding = bundled.embed(picture(DOTS))
    labels = segment_everything(bundled, embedding, DenseSettings(views=1))
    found = [label for label in range(1, DOTS.max() + 1) if (labels[DOTS == label] > 0).mean() > 0.5]
    assert len(found) >= 135
    alike = 0
    for label in found:
        own = labels == np.bincount(labels[(DOTS == label) & (labels > 0)]).argmax()
        alike += (own & (DOTS == label)).sum() / (own | (DOTS == label)).sum() > 0.5
    assert alike >= 135


def test_proposals_name_the_part_that_they_were_found_in(bundled):
    embedding = bundled.embed(picture(DOTS))
    proposals = find_proposals(bundled, embedding, DenseSettings(views=1))
    assert {proposal.crop for proposal in proposals} != {None}
    for proposal in proposals:
        assert proposal.mask.plane == DOTS.shape
        if proposal.crop is not None:
            (top, left), (bottom, right) = proposal.crop
            rows, columns = proposal.mask.box
            assert top <= rows.start < rows.stop <= bottom
            assert left <= columns.start < columns.stop <= right
            # What ends at the border of a part may go on beyond it.
            assert (rows.start > top or top == 0) and (rows.stop < bottom or bottom == DOTS.shape[0])
            assert (columns.start > left or left == 0) and (columns.stop < right or right == DOTS.shape[1])


def test_without_it_the_plane_is_looked_at_once(bundled):
    embedding = bundled.embed(picture(DOTS))
    proposals = find_proposals(bundled, embedding, DenseSettings(views=1, magnify=False))
    assert {proposal.crop for proposal in proposals} == {None}


def test_progress_rises_through_all_parts(bundled):
    seen: list[float] = []
    embedding = bundled.embed(picture(DOTS))
    find_proposals(bundled, embedding, DenseSettings(views=1), seen.append)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


def test_a_model_that_keeps_no_pixels_looks_once():
    predictor = FakePredictor(DOTS)
    assert not can_magnify(predictor, FakeEmbedding(DOTS.shape))
    assert segment_everything(predictor, predictor.embedding).max() == DOTS.max()


@pytest.mark.parametrize(
    ("corner", "kept"),
    [
        ((40, 60), [(30, 30)]),  # within the plane: what the border of the part cuts is left out
        ((0, 0), [(30, 30), (30, 4)]),  # at the plane's edge, there is nothing beyond it
    ],
)
def test_a_part_gives_whole_objects_of_its_core_where_they_lie_on_the_plane(monkeypatch, corner, kept):
    inside = discs((60, 60), (30, 30, 6), (30, 4, 6), (52, 52, 5), (15, 56, 5))
    predictor = FakePredictor(inside)
    monkeypatch.setattr(magnified, "embed_part", lambda *_: predictor.embedding)
    top, left = corner
    core = ((top, left), (top + 45, left + 60))  # the third disc is another part's
    found = part_proposals(
        predictor, FakeEmbedding((200, 200)), Part(corner, (60, 60), core), 2.0, DenseSettings(), no_progress
    )
    assert len(found) == len(kept)
    for proposal, (y, x) in zip(sorted(found, key=lambda one: -one.mask.origin[1]), kept, strict=True):
        expected = np.zeros((200, 200), bool)
        expected[top : top + 60, left : left + 60] = inside == inside[y, x]
        whole = np.zeros((200, 200), bool)
        whole[proposal.mask.box] = proposal.mask.mask
        assert np.array_equal(whole, expected)
        assert proposal.mask.plane == (200, 200)
        assert expected[tuple(map(round, proposal.point))]
        assert proposal.crop == (corner, (top + 60, left + 60))
