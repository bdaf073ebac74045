import dataclasses

import numpy as np
import pytest
from fake_predictor import FakePredictor, discs

from counting import lines_of
from napari_sam import automatic
from napari_sam.automatic import QUICK, DenseSettings, find_proposals, segment_everything
from napari_sam.errors import Cancelled, InputError
from napari_sam.evaluation.average_precision import average_precision, match_counts
from napari_sam.predictor import DenseMaps

TOUCHING = discs((90, 120), (30, 30, 16), (30, 61, 16), (60, 46, 16), (60, 95, 12))


def found(predictor: FakePredictor, settings: DenseSettings | None = None, **kwargs) -> np.ndarray:
    return segment_everything(predictor, predictor.embedding, settings, **kwargs)


@pytest.mark.parametrize("settings", [DenseSettings(), QUICK])
def test_touching_discs_come_back_as_separate_objects(settings):
    labels = found(FakePredictor(TOUCHING), settings)
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == [0, 1, 2, 3, 4]
    assert average_precision(TOUCHING, labels)[8] == 1  # every IoU is greater than .9


@pytest.mark.parametrize("settings", [DenseSettings(), QUICK])
def test_nothing_gives_zeros(settings):
    labels = found(FakePredictor(np.zeros((40, 50), int)), settings)
    assert labels.shape == (40, 50)
    assert labels.dtype == np.int32
    assert not labels.any()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_maps_that_say_the_same_everywhere_give_at_most_one_object(value):
    predictor = FakePredictor(np.zeros((40, 50), int))
    flat = np.full((40, 50), value, np.float32)
    predictor.maps = DenseMaps(flat, flat, flat)
    assert found(predictor, QUICK).max() <= 1


def test_the_decoder_draws_the_objects():
    wider = discs(TOUCHING.shape, (30, 30, 18), (30, 61, 14), (60, 46, 14), (60, 95, 13))
    labels = found(FakePredictor(TOUCHING, drawn=wider))
    assert average_precision(wider, labels).tolist() == [1.0] * 10


def test_parts_of_one_object_are_joined_by_the_decoder():
    parts = discs((60, 100), (30, 30, 18), (30, 66, 18))
    whole = (parts > 0).astype(int)
    predictor = FakePredictor(parts, drawn=whole)
    labels = found(predictor)
    assert len(predictor.asked) == 2
    assert np.array_equal(labels, whole)


def test_the_better_of_two_masks_takes_what_both_claim():
    asked = discs((60, 100), (30, 30, 18), (30, 66, 18))

    class Overlapping(FakePredictor):
        def predict_many(self, embedding, prompt_sets, **kwargs):
            for answer in super().predict_many(embedding, prompt_sets, **kwargs):
                mask = answer.masks.copy()
                mask[:, 12:48, 45:52] = True  # both reach into the gap
                yield dataclasses.replace(answer, masks=mask)

    labels = found(Overlapping(asked, scores={1: 0.8, 2: 0.95}))
    assert labels.max() == 2
    assert labels[30, 48] == labels[30, 66] != labels[30, 30]


@pytest.mark.parametrize(("share", "count"), [(0.4, 2), (0.6, 1)])
def test_masks_that_have_much_in_common_are_one_object(share, count):
    both = np.repeat(np.repeat([[1, 2]], 60, 0), 50, 1)

    class Overlapping(FakePredictor):
        def predict_many(self, embedding, prompt_sets, **kwargs):
            for answer in super().predict_many(embedding, prompt_sets, **kwargs):
                mask = answer.masks.copy()
                mask[:, :, 50 : round(50 + 50 * share)] = True  # the left one reaches into the right one
                yield dataclasses.replace(answer, masks=mask)

    assert found(Overlapping(both)).max() == count


def test_masks_that_the_decoder_is_unsure_of_are_left_out():
    labels = found(FakePredictor(TOUCHING, scores={2: 0.3}))
    assert match_counts(np.where(TOUCHING == 2, 0, TOUCHING), labels).found[8] == labels.max() == 3


def test_masks_that_spill_into_the_background_are_left_out():
    labels = found(FakePredictor(TOUCHING, drawn=np.ones(TOUCHING.shape, int)))
    assert not labels.any()


def test_faint_objects_and_specks_are_left_out():
    predictor = FakePredictor(discs((60, 100), (30, 25, 12), (30, 60, 12), (30, 85, 2)))
    faint = np.where(predictor.drawn == 2, np.float32(0.65), predictor.maps.foreground)
    predictor.maps = dataclasses.replace(predictor.maps, foreground=faint)
    assert found(predictor, QUICK).max() == 1
    assert found(predictor, dataclasses.replace(QUICK, certainty=0.6)).max() == 2
    assert found(predictor, dataclasses.replace(QUICK, certainty=0.6, least_area=5)).max() == 3


def test_a_hole_in_the_foreground_belongs_to_its_object():
    predictor = FakePredictor(discs((60, 60), (30, 30, 20)))
    predictor.maps.foreground[28:33, 28:33] = 0
    assert found(predictor, QUICK)[30, 30] == 1


@pytest.mark.parametrize(("prominence", "count"), [(0.1, 2), (0.3, 1)])
def test_a_shallow_dent_divides_an_object_only_if_asked(prominence, count):
    predictor = FakePredictor(np.ones((40, 80), int))
    across, down = np.arange(80) / 79 * 4 * np.pi, np.abs(np.arange(40) - 20)
    # Two hollows of .4, and .6 between them: a dent of .2.
    distances = (0.5 + 0.1 * np.cos(across) + 0.01 * down[:, None]).astype(np.float32)
    predictor.maps = DenseMaps(np.ones((40, 80), np.float32), distances, distances)
    assert found(predictor, dataclasses.replace(QUICK, prominence=prominence)).max() == count


def test_points_lie_deepest_in_their_object():
    predictor = FakePredictor(discs((60, 100), (30, 30, 16), (20, 70, 9)))
    found(predictor)
    assert sorted(predictor.asked) == [pytest.approx((20, 70), abs=1.5), pytest.approx((30, 30), abs=1.5)]


def test_progress_rises_to_one():
    seen: list[float] = []
    found(FakePredictor(TOUCHING), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 1
    assert len(seen) >= 6


def test_cancelling_ends_the_work_between_objects():
    predictor = FakePredictor(TOUCHING)

    def stop(share: float) -> None:
        if share > 0.5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        found(predictor, progress=stop)
    assert 0 < len(predictor.asked) < 4


def test_many_tiny_nuclei_on_a_big_plane():
    rows, columns = (np.arange(6, 1024, 12),) * 2
    y, x = np.mgrid[:1024, :1024]
    near = np.hypot((y + 6) % 12 - 6 + 0.0, (x + 6) % 12 - 6 + 0.0)
    predictor = FakePredictor(np.zeros((1024, 1024), int))
    inside = near <= 3.6
    share = np.where(inside, near / 3.6, 1).astype(np.float32)
    predictor.maps = DenseMaps(inside.astype(np.float32), share, share)
    with lines_of(automatic) as count:
        labels = found(predictor, QUICK)
    assert abs(int(labels.max()) - (len(rows) + 1) * (len(columns) + 1)) <= 2 * (len(rows) + 1)  # those cut by the edge
    assert 0 < count.lines < 100  # no loop over objects


@pytest.mark.parametrize(
    "wrong", [{"foreground": 1.5}, {"prominence": -0.1}, {"certainty": float("nan")}, {"least_area": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        DenseSettings(**wrong)


class Ambiguous(FakePredictor):
    """Answers every point with the object, with all of the foreground, and with the object again, a bit worse."""

    def predict_many(self, embedding, prompt_sets, *, multimask=False, most=None):
        assert multimask
        for answer in super().predict_many(embedding, prompt_sets):
            whole = self.drawn > 0
            masks = np.stack([answer.masks[0], whole, answer.masks[0]])
            logits = np.where(masks, 8.0, -8.0)
            yield dataclasses.replace(answer, masks=masks, scores=np.array([0.9, self.group, 0.85]), logits=logits)


@pytest.mark.parametrize(("group", "count"), [(0.7, 4), (0.95, 1)])
def test_all_that_a_point_may_mean_competes(group, count):
    predictor = Ambiguous(TOUCHING)
    predictor.group = group
    assert found(predictor).max() == count


@pytest.mark.parametrize(("group", "count"), [(0.7, 5), (0.2, 4)])
def test_masks_alike_are_proposed_once_and_the_worst_never(group, count):
    predictor = Ambiguous(TOUCHING)
    predictor.group = group
    proposals = automatic.find_proposals(predictor, predictor.embedding, DenseSettings())
    assert len(proposals) == count
    assert max(proposal.score for proposal in proposals) == 0.9


@pytest.mark.parametrize("settings", [DenseSettings(), QUICK])
def test_a_proposal_says_how_certainly_it_is_foreground(settings):
    predictor = FakePredictor(TOUCHING)
    predictor.maps = dataclasses.replace(predictor.maps, foreground=np.where(TOUCHING > 0, 0.8, 0).astype(np.float32))
    proposals = find_proposals(predictor, predictor.embedding, settings)
    assert len(proposals) >= 4
    assert np.allclose([proposal.foreground for proposal in proposals], 0.8)
