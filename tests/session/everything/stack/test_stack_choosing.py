"""Objects of all planes of a stack: found, shown plane by plane, chosen, ranked."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from found_objects import disc, proposal, two_discs
from session_scenery import DISCS, SHAPE, click

from napari_sam.automatic import ProposalFilter
from napari_sam.session.everything import messages as everything_messages
from napari_sam.session.everything.stack import finding
from napari_sam.session.state import StackAxis

Z = StackAxis(0, "z", 3)


def section(session):
    return session.state.everything


def clicked(session, position):
    session._components.everything.chooser._shown.clicked.emit(*position)


def held_at(found, place):
    """Find two discs, and hold the search back when it has come to a plane."""
    entered, go_on, seen = threading.Event(), threading.Event(), []

    def find(plane):
        seen.append(plane)
        if len(seen) == place + 1:
            entered.set()
            assert go_on.wait(60)
        return two_discs(plane)

    found[:] = [find]
    return entered, go_on


def come_to(session, entered):
    """Let the search go on until it is held back, and hear how far it is."""
    while not entered.is_set():
        session._worker.deliver()
    session._worker.deliver()  # what was reported before that


def test_all_planes_are_looked_at_and_those_on_screen_shown(searched, viewer, engines):
    assert section(searched).found == section(searched).shown == 6
    assert section(searched).stack
    assert section(searched).can_accept
    assert searched.state.status.text == everything_messages.found(6)
    text = section(searched).text
    assert everything_messages.shown(2, 2, 0, 0, here=True) in text
    assert everything_messages.in_stack(6, 6, 3, Z) in text
    layer = viewer.layers["SAM objects"]
    assert layer.data.shape == (1, *SHAPE)
    for place in (2, 1):
        viewer.dims.set_current_step(0, place)
        assert layer in viewer.layers  # the same: clicks go on to it
        assert layer.translate[0] == place
        assert section(searched).picking
        assert len(np.unique(layer.data)) == 3


def test_only_the_plane_on_screen_is_laid_out(searched, viewer):
    planes = searched._components.everything.chooser.found.planes
    assert [plane.objects.size > 0 for plane in planes] == [True, False, False]
    viewer.dims.set_current_step(0, 2)
    assert [plane.objects.size > 0 for plane in planes] == [False, False, True]


def test_a_filter_holds_on_all_planes_and_the_model_is_not_asked(searched, viewer, engines):
    asked = len(engines[0].embedded)
    searched.everything.choose(ProposalFilter(score=0.8))
    assert section(searched).shown == 3
    shown = searched._components.everything.chooser.selection
    assert shown.shown == 1
    viewer.dims.set_current_step(0, 1)
    assert searched._components.everything.chooser.selection.shown == 1
    searched.wait(60)
    searched.everything.choose(section(searched).suggested)
    assert section(searched).shown == 6
    assert len(engines[0].embedded) - asked <= 1  # the plane on screen, as after every scroll


def test_a_click_drops_an_object_of_its_plane_alone(searched, viewer):
    viewer.dims.set_current_step(0, 1)
    clicked(searched, DISCS[0])
    assert section(searched).shown == 5
    assert "1 dropped by hand" in section(searched).text
    viewer.dims.set_current_step(0, 0)
    assert "dropped" not in section(searched).text
    viewer.dims.set_current_step(0, 1)
    clicked(searched, DISCS[0])
    assert section(searched).shown == 6


def test_progress_names_the_plane(stack, found):
    entered, go_on = held_at(found, 1)
    stack.everything.find("stack")
    come_to(stack, entered)
    assert stack.state.status.text == "Finding objects along z: plane 2 of 3."
    assert stack.state.status.cancellable
    go_on.set()
    stack.wait(60)
    assert section(stack).found == 6


def test_a_click_is_answered_between_two_planes(stack, found):
    entered, go_on = held_at(found, 1)
    stack.everything.find("stack")
    come_to(stack, entered)
    click(stack, (0, *DISCS[0]))
    order = []
    stack.events.state_changed.connect(lambda state: order.append((len(state.candidates), state.everything.found)))
    go_on.set()
    stack.wait(60)
    answered = next(found for count, found in order if count)
    assert answered is None  # the search was not over
    assert section(stack).found == 6
    # Who is in the middle of an object goes on with that: Enter is for it.
    assert not section(stack).picking
    assert stack.state.can_accept


def test_cancel_keeps_the_planes_that_are_done(stack, found, viewer):
    entered, go_on = held_at(found, 2)
    stack.everything.find("stack")
    come_to(stack, entered)
    stack.cancel()
    go_on.set()
    stack.wait(60)
    assert stack.state.status.text == everything_messages.kept_after_cancel(4, 2, Z)
    assert section(stack).found == 4
    assert section(stack).can_find
    assert "on 2 of 3 planes" in section(stack).text
    viewer.dims.set_current_step(0, 2)
    assert not section(stack).here
    assert everything_messages.not_looked_at("z", 2) in section(stack).text
    assert "SAM objects" not in viewer.layers
    viewer.dims.set_current_step(0, 1)
    assert "SAM objects" in viewer.layers


def test_cancel_on_the_first_plane_keeps_nothing(stack, found):
    entered, go_on = held_at(found, 0)
    stack.everything.find("stack")
    assert entered.wait(60)
    stack.cancel()
    go_on.set()
    stack.wait(60)
    assert stack.state.status.text == everything_messages.CANCELLED
    assert section(stack).found is None


def test_another_plane_during_the_search(stack, found, viewer):
    entered, go_on = held_at(found, 1)
    stack.everything.find("stack")
    come_to(stack, entered)
    viewer.dims.set_current_step(0, 2)
    go_on.set()
    stack.wait(60)
    assert section(stack).found == 6
    assert viewer.layers["SAM objects"].translate[0] == 2


def test_a_removed_image_ends_the_search(stack, found, viewer):
    entered, go_on = held_at(found, 1)
    stack.everything.find("stack")
    come_to(stack, entered)
    viewer.layers.remove("cells")
    go_on.set()
    stack.wait(60)
    assert section(stack).found is None
    assert not section(stack).running
    assert "SAM objects" not in viewer.layers


def test_what_memory_cannot_hold_ends_the_search(stack, monkeypatch):
    monkeypatch.setattr(finding, "MOST_BYTES", 10)
    stack.everything.find("stack")
    stack.wait(60)
    assert section(stack).found == 2
    assert stack.state.status.text == everything_messages.kept_at_limit(2, 1, Z)


def test_nothing_in_the_stack(stack, found):
    found.clear()
    stack.everything.find("stack")
    stack.wait(60)
    assert stack.state.status.text == everything_messages.NOTHING_HERE


def test_an_empty_plane_counts_as_looked_at(viewer, volume, stack):
    volume[1] = 0
    stack.everything.find("stack")
    stack.wait(60)
    viewer.dims.set_current_step(0, 1)
    assert section(stack).here
    assert everything_messages.shown(0, 0, 0, 0, here=True) in section(stack).text


def test_one_plane_is_no_stack(session):
    session.everything.find("stack")
    assert session.state.status.text == everything_messages.NO_STACK
    assert section(session).axes == ()


@pytest.mark.parametrize(
    ("name", "unit", "link"), [("T", "pixel", "time"), ("w", "second", "time"), ("z", "micrometer", "depth")]
)
def test_the_axis_says_how_objects_are_linked(viewer, volume, open_session, found, described, name, unit, link):
    viewer.add_image(volume, contrast_limits=(0, 255), units=(unit, "micrometer", "micrometer"))
    viewer.dims.axis_labels = (name, "y", "x")
    session = open_session()
    session.wait(60)
    found.append(two_discs)
    assert section(session).axes == (StackAxis(0, name, 3),)
    assert bool(section(session).time_axes) == (link == "time")
    session.everything.find("stack")
    session.wait(60)
    assert session._components.everything.chooser.found.findings.stack.link == link


def test_the_axis_is_the_one_asked_for_or_scrolled_along(viewer, open_session, found, described):
    viewer.add_image(np.zeros((2, 3, *SHAPE), np.uint8), contrast_limits=(0, 255))
    viewer.dims.axis_labels = ("t", "z", "y", "x")
    session = open_session()
    session.wait(60)
    found.append(lambda plane: [proposal(disc(10, 10, 4))])
    for asked, planes in ((None, 3), (-4, 2), (1, 3), (0, 2), (-3, 3)):
        session.everything.find("stack", axis=asked)
        session.wait(60)
        assert section(session).found == planes
    viewer.dims.set_current_step(0, 1)
    session.wait(60)
    session.everything.find("stack")
    session.wait(60)
    assert section(session).found == 2


# -- like examples --------------------------------------------------------------------------------

LARGE, SMALL, OTHER = disc(20, 20, 12), disc(40, 60, 4), disc(10, 60, 5)


@pytest.fixture
def sized(stack, found):
    found[:] = [lambda plane: [proposal(mask, score) for mask, score in ((LARGE, 0.9), (SMALL, 0.8), (OTHER, 0.7))]]
    return stack


def test_examples_of_one_plane_rank_those_of_all(sized, viewer, described, engines):
    sized.everything.find("stack")
    sized.wait(60)
    assert described == [3, 3, 3]
    viewer.dims.set_current_step(0, 1)
    sized.wait(60)
    embedded = len(engines[0].embedded)
    sized.everything.keep(1)
    sized.everything.find_like()
    sized.wait(60)
    assert described == [3, 3, 3]  # nothing is described or encoded again
    assert len(engines[0].embedded) == embedded
    assert section(sized).ranked_by == "1 example"
    assert section(sized).shown == 6
    viewer.dims.set_current_step(0, 2)
    assert len(np.unique(viewer.layers["SAM objects"].data)) == 3
    sized.everything.choose(ProposalFilter(match=1.0))
    assert section(sized).shown == 1  # the example itself, kept by hand


def test_what_was_picked_on_a_plane_finds_its_like_in_the_stack(sized, viewer):
    viewer.dims.set_current_step(0, 1)
    sized.wait(60)
    sized.everything.find()
    sized.wait(60)
    sized.everything.keep(1)
    sized.everything.toggle(0)
    sized.everything.find_like("stack")
    sized.wait(60)
    assert section(sized).ranked_by == "1 example, not like 1"
    assert section(sized).stack
    assert section(sized).shown == 6


def test_examples_are_told_apart_by_their_planes(stack, found, viewer):
    planes = iter([(LARGE, SMALL, OTHER), (SMALL, LARGE, OTHER), (LARGE, SMALL, OTHER)])
    found[:] = [lambda plane: [proposal(mask, 0.9 - number / 10) for number, mask in enumerate(next(planes))]]
    stack.everything.find("stack")
    stack.wait(60)
    viewer.dims.set_current_step(0, 1)
    stack.wait(60)
    stack.everything.keep(0)  # a small one
    stack.everything.find_like()
    stack.wait(60)
    assert section(stack).shown == 6


def test_what_was_picked_is_no_example_where_it_is_not_found_again(sized, found):
    sized.everything.find()
    sized.wait(60)
    sized.everything.keep(1)
    found[:] = [lambda plane: [proposal(LARGE)]]
    sized.everything.find("stack")
    sized.wait(60)
    assert "kept by hand" not in section(sized).text


def test_labels_of_the_plane_on_screen_are_examples(sized, viewer, described):
    labels = np.zeros((3, *SHAPE), int)
    labels[1][SMALL] = 7
    sized.target = viewer.add_labels(labels)
    sized.everything.find("stack")
    sized.wait(60)
    viewer.dims.set_current_step(0, 1)
    sized.wait(60)
    sized.everything.find_like()
    sized.wait(60)
    assert described == [3, 3, 3, 1]
    assert section(sized).shown == 6


def test_a_stack_is_shown_and_linked_as_it_was_found(stack, found):
    found.append(two_discs)
    stack.shaping.choose(grow=2)
    stack.everything.find("stack")
    stack.wait(60)
    stack.shaping.choose(grow=3)
    stack.wait(60)
    shown = stack._components.everything.chooser.selection.objects > 0
    np.testing.assert_array_equal(shown, disc(*DISCS[0], 6) | disc(*DISCS[1], 6))
