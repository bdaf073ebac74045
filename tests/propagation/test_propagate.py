from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.errors import Cancelled, InputError
from napari_sam.masks import BoxedMask
from napari_sam.planes.source import ArrayPlanes
from napari_sam.propagation import STRATEGIES, Annotated, Ending, PropagationStep, Reason, Rules, propagate, weak_planes
from stack_scenery import AsItIs, BrightEngine, annotate, disc, split_results, stack, truth

SAME = (16, 20, 6)


@pytest.mark.parametrize("strategy", STRATEGIES)
class TestEveryStrategy:
    def test_carries_a_drifting_disc_both_ways_through_the_stack(self, strategy):
        planes = stack(*((12 + k, 15 + k, 6) for k in range(7)))
        steps, endings = split_results(propagate(BrightEngine(), planes, annotate(planes, 3), strategy=strategy))
        assert sorted(steps) == [0, 1, 2, 4, 5, 6]
        for index, step in steps.items():
            assert np.array_equal(step.mask, truth(planes, index))
            assert step.mask.dtype == bool
            assert 0 <= step.score <= 1
            assert step.direction == (1 if index > 3 else -1)
        assert {(e.index, e.direction, e.reason) for e in endings} == {
            (7, 1, Reason.RANGE_END),
            (-1, -1, Reason.RANGE_END),
        }

    def test_overlap_is_that_with_the_neighbour(self, strategy):
        planes = stack(SAME, (16, 22, 6))
        [step], _ = (
            split_results(propagate(BrightEngine(), planes, annotate(planes, 0), strategy=strategy))[0].values(),
            0,
        )
        one, other = truth(planes, 0), truth(planes, 1)
        assert step.overlap == pytest.approx((one & other).sum() / (one | other).sum())

    def test_ends_where_the_object_is_gone(self, strategy):
        planes = stack(SAME, SAME, SAME, None, SAME)
        steps, endings = split_results(propagate(BrightEngine(), planes, annotate(planes, 1), strategy=strategy))
        assert sorted(steps) == [0, 2]
        assert Ending(3, 1, Reason.EMPTY) in endings

    def test_an_object_on_one_plane_only_stays_there(self, strategy):
        planes = stack(None, SAME, None)
        steps, endings = split_results(propagate(BrightEngine(), planes, annotate(planes, 1), strategy=strategy))
        assert not steps
        assert [e.reason for e in endings] == [Reason.EMPTY, Reason.EMPTY]

    def test_directions_meet_between_two_annotated_planes(self, strategy):
        planes = stack(*[SAME] * 8)
        steps, endings = split_results(propagate(BrightEngine(), planes, annotate(planes, 0, 7), strategy=strategy))
        assert [steps[k].direction for k in range(1, 7)] == [1, 1, 1, -1, -1, -1]
        assert {(e.index, e.direction) for e in endings if e.reason is Reason.MET} == {(4, 1), (3, -1)}

    @pytest.mark.parametrize("radius", [0, 1, 1.5])
    def test_tiny_objects(self, strategy, radius):
        planes = stack(*[(16, 20, radius)] * 3)
        steps, _ = split_results(propagate(BrightEngine(), planes, annotate(planes, 1), strategy=strategy))
        assert all(np.array_equal(steps[k].mask, truth(planes, k)) for k in (0, 2))

    @pytest.mark.parametrize("place", [(0, 0, 6), (31, 39, 6), (16, 20, 60)])
    def test_objects_at_the_border_or_all_over_the_plane(self, strategy, place):
        planes = stack(*[place] * 3)
        steps, _ = split_results(propagate(BrightEngine(), planes, annotate(planes, 1), strategy=strategy))
        assert all(np.array_equal(steps[k].mask, truth(planes, k)) for k in (0, 2))

    @pytest.mark.parametrize("kinds", [("box",), ("point",), ("point", "box")])
    def test_models_that_take_some_kinds_of_prompts_only(self, strategy, kinds):
        planes = stack(*[SAME] * 3)
        engine = BrightEngine(kinds)
        steps, _ = split_results(propagate(engine, planes, annotate(planes, 1), strategy=strategy))
        assert sorted(steps) == [0, 2]

    def test_odd_pixels(self, strategy):
        data = np.zeros((5, 32, 40), np.float32)
        data[:, disc(*SAME)] = 1.0
        data[1, :5] = np.nan
        data[3] = 0.25  # constant
        planes = ArrayPlanes(data, 0, (0, None, None), (0.0, 1.0), 1.0, (3.0, 0.5))
        steps, endings = split_results(
            propagate(BrightEngine(), planes, [Annotated(2, disc(*SAME))], strategy=strategy)
        )
        assert sorted(steps) == [0, 1]
        assert Ending(3, 1, Reason.EMPTY) in endings

    def test_colour(self, strategy):
        data = np.zeros((3, 32, 40, 3), np.uint8)
        data[:, disc(*SAME)] = (220, 180, 40)
        planes = ArrayPlanes(data, 0, (0, None, None))
        steps, _ = split_results(propagate(BrightEngine(), planes, [Annotated(1, disc(*SAME))], strategy=strategy))
        assert sorted(steps) == [0, 2]

    def test_has_a_title_and_a_description(self, strategy):
        assert STRATEGIES[strategy].title
        assert STRATEGIES[strategy].description.endswith(".")


# micro-sam's rule puts clicks that are not the object's into what comes together.
@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "projection"])
def test_both_parts_of_an_object_that_splits_go_on_and_come_together_again(strategy):
    planes = stack(*[[(16, 20 - apart, 5), (16, 20 + apart, 5)] for apart in (3, 4, 5, 6, 7, 7, 6, 5, 4, 3)])
    steps, _ = split_results(propagate(BrightEngine(), planes, annotate(planes, 0), strategy=strategy))
    assert [ndimage.label(steps[k].mask)[1] for k in range(1, 10)] == [1, 1, 2, 2, 2, 2, 1, 1, 1]
    assert all(np.array_equal(step.mask, truth(planes, index)) for index, step in steps.items())


class TestRules:
    @pytest.fixture(autouse=True)
    def _as_it_is(self, monkeypatch):
        monkeypatch.setitem(STRATEGIES, "as it is", AsItIs())

    def ending(self, planes, start=0, **options):
        results = propagate(BrightEngine(), planes, annotate(planes, start), strategy="as it is", **options)
        steps, endings = split_results(results)
        [ending] = [e for e in endings if e.direction == 1]
        return sorted(k for k in steps if k > start), ending

    def test_overlap(self):
        planes = stack((16, 12, 6), (16, 20, 6), (16, 20, 6))
        assert self.ending(planes, rules=Rules(least_overlap=0.3, least_score=0)) == ([], Ending(1, 1, Reason.OVERLAP))
        assert self.ending(planes, rules=Rules(least_overlap=0, least_score=0))[0] == [1, 2]

    @pytest.mark.parametrize("radii", [(4, 10), (10, 4)])
    def test_area(self, radii):
        planes = stack(*((16, 20, radius) for radius in radii))
        rules = Rules(least_overlap=0, largest_area_change=3, least_score=0)
        assert self.ending(planes, rules=rules) == ([], Ending(1, 1, Reason.AREA))
        assert self.ending(planes, rules=Rules(least_overlap=0, largest_area_change=8, least_score=0))[0] == [1]

    def test_empty_is_what_has_fewer_pixels_than_the_least_area(self):
        planes = stack((16, 20, 2), (16, 20, 1), (16, 20, 1))
        rules = Rules(least_overlap=0.0, largest_area_change=8, least_area=6)
        assert self.ending(planes, rules=rules) == ([], Ending(1, 1, Reason.EMPTY))

    def test_the_score_falls_with_the_overlap_of_neighbours_where_they_hardly_agree(self):
        planes = stack(SAME, (16, 22, 6), (16, 30, 6))
        rules = Rules(least_overlap=0, least_score=0)
        results = propagate(BrightEngine(), planes, annotate(planes, 0), strategy="as it is", rules=rules)
        near, far = split_results(results)[0].values()
        assert near.overlap > 0.5 > far.overlap > 0
        assert far.score == pytest.approx(near.score * far.overlap / 0.5)

    def test_score(self):
        planes = stack(SAME, (17, 20, 6), (18, 20, 6), (18, 21, 6))
        engine = BrightEngine(scores=[(planes.data[2], 0.1)])
        steps, endings = split_results(propagate(engine, planes, annotate(planes, 0), rules=Rules(least_score=0.3)))
        assert sorted(steps) == [1]
        assert Ending(2, 1, Reason.SCORE) in endings

    def test_mark(self):
        planes = stack(*[SAME] * 6)
        assert self.ending(planes, marks={3: [(16, 20)]}) == ([1, 2], Ending(3, 1, Reason.MARK))

    def test_a_mark_beside_the_object_ends_nothing(self):
        planes = stack(*[SAME] * 6)
        assert self.ending(planes, marks={3: [(2, 2), (-4, 99)]})[0] == [1, 2, 3, 4, 5]

    def test_a_mark_ends_without_asking_the_model_where_the_object_was_there_before(self):
        planes, engine = stack(*[SAME] * 3), BrightEngine()
        list(propagate(engine, planes, annotate(planes, 0), marks={1: [(16, 20)]}))
        assert not engine.asked

    def test_range(self):
        planes = stack(*[SAME] * 9)
        steps, endings = split_results(propagate(BrightEngine(), planes, annotate(planes, 4), span=range(2, 7)))
        assert sorted(steps) == [2, 3, 5, 6]
        assert {(e.index, e.reason) for e in endings} == {(7, Reason.RANGE_END), (1, Reason.RANGE_END)}

    def test_between_annotated_planes_doubts_do_not_end_a_direction(self):
        planes = stack((16, 20, 8), (16, 20, 3), (16, 20, 8), (16, 20, 8))
        assert sorted(split_results(propagate(BrightEngine(), planes, annotate(planes, 0, 3)))[0]) == [1, 2]
        assert not split_results(propagate(BrightEngine(), planes, annotate(planes, 0)))[0]

    @pytest.mark.parametrize(
        "wrong", [{"least_overlap": 2}, {"least_score": -1}, {"largest_area_change": 0.5}, {"least_area": 0}]
    )
    def test_settings_that_make_no_sense_are_refused(self, wrong):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Rules(**wrong)

    def test_reasons_have_words(self):
        assert all(reason.words for reason in Reason)
        assert len({reason.words for reason in Reason}) == len(Reason)


class TestOrder:
    def test_nearest_planes_come_first(self):
        planes = stack(*[SAME] * 11)
        steps = [
            r.index for r in propagate(BrightEngine(), planes, annotate(planes, 3, 9)) if isinstance(r, PropagationStep)
        ]
        distances = [min(abs(k - 3), abs(k - 9)) for k in steps]
        assert distances == sorted(distances)
        assert len(set(steps)) == len(steps) == 9

    def test_where_one_direction_ended_the_other_goes_on_to_there(self):
        planes = stack(SAME, None, SAME, SAME, SAME, SAME, SAME, SAME)
        steps, endings = split_results(propagate(BrightEngine(), planes, annotate(planes, 0, 7)))
        assert sorted(steps) == [2, 3, 4, 5, 6]
        assert {(e.index, e.direction, e.reason) for e in endings} >= {(1, 1, Reason.EMPTY), (1, -1, Reason.EMPTY)}

    def test_planes_are_read_one_at_a_time_when_they_are_asked_for(self):
        planes = stack(*[SAME] * 20)
        read = []

        class Counting:
            def __len__(self):
                return len(planes)

            def __getitem__(self, index):
                read.append(index)
                return planes[index]

        results = propagate(BrightEngine(), Counting(), annotate(planes, 10))
        list(itertools.islice(results, 4))
        results.close()
        assert set(read) == {8, 9, 10, 11, 12}

    def test_the_same_call_goes_on_after_what_was_found_before(self):
        planes = stack(*((12 + k, 15 + k, 6) for k in range(9)), None)
        whole = list(propagate(BrightEngine(), planes, annotate(planes, 4)))
        for done in range(len(whole) + 1):
            engine = BrightEngine()
            again = list(propagate(engine, planes, annotate(planes, 4), earlier=whole[:done]))
            assert [(type(r), r.index, r.direction) for r in again] == [(type(r), r.index, r.direction) for r in whole]
            assert all(
                np.array_equal(a.mask, b.mask)
                for a, b in zip(again, whole, strict=True)
                if isinstance(a, PropagationStep)
            )
        assert not engine.asked


class TestCancelling:
    def test_progress_can_cancel_in_the_middle_of_a_plane(self):
        planes = stack(*[SAME] * 9)
        told = []

        def progress(fraction):
            told.append(fraction)
            if fraction > 0.5:
                raise Cancelled("stop")

        found = []
        with pytest.raises(Cancelled):
            found.extend(propagate(BrightEngine(), planes, annotate(planes, 4), progress=progress))
        assert all(0 <= fraction <= 1 for fraction in told)
        assert told == sorted(told)

    def test_progress_ends_at_one(self):
        planes = stack(None, SAME, SAME, None, None)
        told = []
        list(propagate(BrightEngine(), planes, annotate(planes, 1), progress=told.append))
        assert told[-1] == 1.0
        assert told == sorted(told)


class TestWrongInput:
    planes = stack(*[SAME] * 3)

    @pytest.mark.parametrize(
        ("annotated", "words"),
        [
            ([], "No plane is annotated"),
            ([Annotated(1, np.zeros((32, 40), bool))], "plane 1 is empty"),
            ([Annotated(3, disc(*SAME))], "planes are 0 to 2"),
            ([Annotated(-1, disc(*SAME))], "planes are 0 to 2"),
            ([Annotated(1, np.ones((5, 5), bool))], r"32 x 40"),
            ([Annotated(1, disc(*SAME)), Annotated(1, disc(*SAME))], "twice"),
        ],
    )
    def test_annotations(self, annotated, words):
        with pytest.raises(InputError, match=words):
            propagate(BrightEngine(), self.planes, annotated)

    def test_strategy(self):
        with pytest.raises(InputError, match="previous"):
            propagate(BrightEngine(), self.planes, annotate(self.planes, 1), strategy="magic")

    @pytest.mark.parametrize("span", [range(0, 4), range(-1, 2), range(2, 2), range(0, 3, 2)])
    def test_range(self, span):
        with pytest.raises(InputError, match="0 to 2"):
            propagate(BrightEngine(), self.planes, annotate(self.planes, 1), span=span)


def test_weak_planes():
    steps = [
        PropagationStep(k, BoxedMask.of(np.ones((1, 1), bool)), score, 1.0, 1)
        for k, score in ((5, 0.2), (3, 0.9), (1, 0.4))
    ]
    assert weak_planes(steps) == [1, 5]
    assert weak_planes(steps, threshold=0.3) == [5]
