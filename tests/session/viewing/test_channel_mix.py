"""Images that the model sees together, as they are blended on the screen."""

from __future__ import annotations

import numpy as np
import pytest
from session_scenery import DISCS, click, discs

from fake_propagation import FakePropagation
from napari_sam.errors import InputError
from napari_sam.journal import read_journal


def one_disc(which: int) -> np.ndarray:
    y, x = np.ogrid[:60, :80]
    (cy, cx) = DISCS[which]
    return np.where((y - cy) ** 2 + (x - cx) ** 2 <= 36, 200, 0).astype(np.uint8)


@pytest.fixture
def membrane(viewer):
    return viewer.add_image(one_disc(0), name="membrane", colormap="red", blending="additive", contrast_limits=(0, 200))


@pytest.fixture
def nuclei(viewer, membrane):
    return viewer.add_image(one_disc(1), name="nuclei", colormap="green", blending="additive", contrast_limits=(0, 200))


@pytest.fixture
def ready(nuclei, open_session):
    session = open_session(image=nuclei)
    session.wait(60)
    return session


def seen(session):
    """What the model sees of the plane on screen, (H, W, 3)."""
    return session._components.active.plane_source().read().rendered


def asked(session):
    return session._components.live.answer.request


def test_the_model_sees_what_the_person_sees(ready, membrane, nuclei):
    assert not seen(ready)[DISCS[0]].any()
    ready.channels.choose([membrane, nuclei])
    np.testing.assert_array_equal(seen(ready)[DISCS[0]], (255, 0, 0))
    np.testing.assert_array_equal(seen(ready)[DISCS[1]], (0, 255, 0))
    ready.wait(60)
    assert ready.state.channels == ("membrane", "nuclei")
    assert '"membrane + nuclei" encoded' in ready.state.status.text


def test_a_click_on_what_another_channel_shows_finds_it(ready, membrane, nuclei):
    ready.channels.choose([nuclei, membrane])
    click(ready, DISCS[0])
    ready.wait(60)
    assert ready.state.status.kind == "idle"
    assert asked(ready).source.channels == ("membrane", "nuclei")
    ready.accept()
    assert ready.target.data[DISCS[0]] == 1


def test_a_third_channel_that_is_not_among_them_is_told(viewer, ready, membrane, nuclei):
    third = np.zeros((60, 80), dtype=np.uint8)
    third[50:58, 5:13] = 200
    viewer.add_image(third, name="actin", contrast_limits=(0, 200), blending="additive")
    ready.channels.choose([nuclei, membrane])
    click(ready, (54, 9))
    ready.wait(60)
    assert ready.state.status.kind == "attention" and '"actin"' in ready.state.status.text


def test_a_change_of_looks_asks_anew_and_only_while_it_counts(ready, membrane, nuclei, engines):
    ready.channels.choose([nuclei, membrane])
    click(ready, DISCS[1])
    ready.wait(60)
    before = asked(ready)
    for change in ({"opacity": 0.5}, {"colormap": "blue"}, {"gamma": 2.0}, {"visible": False}, {"visible": True}):
        for name, value in change.items():
            setattr(membrane, name, value)
        ready.wait(60)
        assert asked(ready) is not before, change
        before = asked(ready)
    # What is set to what it is already changes nothing.
    membrane.opacity = membrane.opacity
    membrane.colormap = "blue"
    ready.wait(60)
    assert asked(ready) is before
    ready.channels.choose([])
    ready.wait(60)
    before = asked(ready)
    membrane.opacity = 0.9
    ready.wait(60)
    assert asked(ready) is before and before.source.channels == ()


def test_a_hidden_image_takes_no_part(ready, membrane, nuclei):
    ready.channels.choose([nuclei, membrane])
    membrane.visible = False
    assert ready.state.channels == () and not seen(ready)[DISCS[0]].any()
    membrane.visible = True
    assert seen(ready)[DISCS[0]].any()


def test_the_order_of_layers_counts(viewer, ready, membrane, nuclei):
    nuclei.data = discs()
    membrane.data = discs()
    membrane.blending = nuclei.blending = "opaque"
    ready.channels.choose([nuclei, membrane])
    np.testing.assert_array_equal(seen(ready)[DISCS[0]], (0, 255, 0))
    viewer.layers.move(1, 0)
    np.testing.assert_array_equal(seen(ready)[DISCS[0]], (255, 0, 0))


def test_pixels_that_a_program_changes_are_read_anew(ready, membrane, nuclei):
    ready.channels.choose([nuclei, membrane])
    ready.wait(60)
    version = ready._components.active.plane_source().version
    membrane.data[:] = 0
    membrane.refresh()
    assert ready._components.active.plane_source().version > version
    assert not seen(ready)[DISCS[0]].any()


def test_an_image_that_is_deleted_leaves_the_others(viewer, ready, membrane, nuclei):
    third = viewer.add_image(discs(), name="third", contrast_limits=(0, 200), blending="additive")
    ready.channels.choose([nuclei, membrane, third])
    viewer.layers.remove(membrane)
    assert ready.channels.group == (nuclei, third)
    viewer.layers.remove(third)
    assert ready.channels.group == () and ready.state.channels == ()
    ready.wait(60)
    assert asked_ready(ready) == ()


def asked_ready(session):
    return session._components.live.ready.request.source.channels


def test_images_that_do_not_lie_on_each_other_are_refused(viewer, ready, nuclei):
    turned = viewer.add_image(one_disc(0), name="turned", rotate=30)
    with pytest.raises(InputError, match='"turned" lies at a slant to "nuclei"'):
        ready.channels.choose([nuclei, turned])
    stack = viewer.add_image(np.zeros((3, 60, 80)), name="stack")
    with pytest.raises(InputError, match='"stack" has 3 axes, and "nuclei" 2'):
        ready.channels.choose([nuclei, stack])
    with pytest.raises(InputError, match="image layers of this viewer"):
        ready.channels.choose([nuclei, viewer.add_points([[1, 2]])])
    assert ready.channels.group == ()


@pytest.mark.parametrize("translate", [(0, 0), (5, -7)])
def test_a_channel_of_another_resolution_lies_where_napari_draws_it(viewer, open_session, translate):
    fine = viewer.add_image(np.zeros((60, 80), np.uint8), name="fine", scale=(0.5, 0.5), contrast_limits=(0, 255))
    pixels = np.zeros((30, 40), np.uint8)
    pixels[10, 20] = 255
    coarse = viewer.add_image(pixels, name="coarse", contrast_limits=(0, 255), blending="additive")
    # A coarse pixel covers four fine ones: its centre lies between them.
    coarse.translate = np.add(translate, 0.25)
    session = open_session(image=fine)
    session.channels.choose([fine, coarse])
    lit = np.argwhere(seen(session)[..., 0])
    world = [fine.data_to_world(place) for place in lit]
    assert len(lit) == 4
    for place in world:
        np.testing.assert_array_equal(np.round(coarse.world_to_data(place)), (10, 20))


def test_stacks_and_flat_channels(viewer, open_session):
    stack = np.zeros((4, 60, 80), dtype=np.uint8)
    stack[2] = one_disc(1)
    cells = viewer.add_image(stack, name="cells", contrast_limits=(0, 200), colormap="green", scale=(2, 1, 1))
    flat = viewer.add_image(one_disc(0), name="flat", contrast_limits=(0, 200), colormap="red", blending="additive")
    session = open_session(image=cells)
    session.channels.choose([cells, flat])
    viewer.dims.set_current_step(0, 2)
    np.testing.assert_array_equal(seen(session)[DISCS[0]], (255, 0, 0))
    np.testing.assert_array_equal(seen(session)[DISCS[1]], (0, 255, 0))
    viewer.dims.set_current_step(0, 0)
    assert not seen(session)[DISCS[1]].any() and seen(session)[DISCS[0]].any()
    # Another orientation: z and x on screen.
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, DISCS[1][0])
    assert seen(session).shape == (4, 80, 3) and seen(session)[2, DISCS[1][1], 1] == 255


def test_an_object_goes_through_a_stack_of_several_channels(viewer, open_session, monkeypatch):
    monkeypatch.setattr("napari_sam.session.propagation.runner.propagate", carry := FakePropagation())
    red = np.stack([one_disc(0)] * 4)
    cells = viewer.add_image(red * 0, name="cells", contrast_limits=(0, 200), colormap="green")
    other = viewer.add_image(red, name="other", contrast_limits=(0, 200), colormap="red", blending="additive")
    session = open_session(image=cells)
    session.channels.choose([cells, other])
    viewer.dims.set_current_step(0, 1)
    session.wait(60)
    session.points.add((1, *DISCS[0]))
    session.wait(60)
    session.stack.propagate()
    session.wait(60)
    planes = carry.calls[-1]["planes"]
    np.testing.assert_array_equal(planes[3].rendered[DISCS[0]], (255, 0, 0))
    np.testing.assert_array_equal(planes.source(3).read().rendered[DISCS[0]], (255, 0, 0))
    assert [int(plane[DISCS[0]]) for plane in session.target.data] == [1, 1, 1, 1]


def test_the_journal_says_which_channels_were_seen(ready, membrane, nuclei):
    ready.channels.choose([nuclei, membrane])
    click(ready, DISCS[0])
    ready.wait(60)
    ready.accept()
    records = [record for record in read_journal(ready._components.recorder.path) if record["kind"] == "accepted"]
    assert records[-1]["channels"] == ["membrane", "nuclei"]


def test_a_closed_session_listens_to_no_image(viewer, membrane, nuclei, open_session):
    session = open_session(image=nuclei)
    session.channels.choose([nuclei, membrane])
    before = len(membrane.events.opacity.callbacks)
    session.close()
    assert len(membrane.events.opacity.callbacks) < before
