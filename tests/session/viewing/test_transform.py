"""Images anywhere in the world: every layer of the session lies on their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from session_scenery import DISCS, SHAPE, discs

from napari_sam.prompts import BoxPrompt, PointPrompt
from napari_sam.session.viewing.transform import LayerTransform

PLACES = {
    "plain": {},
    "scale": {"scale": (0.5, 2.0)},
    "mirrored": {"scale": (-1, 2)},
    "translate": {"translate": (-100, 1e4)},
    "rotate": {"rotate": 37, "scale": (2, 3)},
    "shear": {"shear": [0.4], "scale": (2, 3)},
    "affine": {"affine": [[0.8, 0.6, 5], [-0.6, 0.8, 7], [0, 0, 1]]},
    "units": {"units": ("um", "um"), "scale": (0.2, 0.2), "axis_labels": ("y", "x")},
    "all": {
        "scale": (0.3, 0.7),
        "translate": (11, -12),
        "rotate": 20,
        "shear": [0.2],
        "affine": [[0.8, 0.6, 5], [-0.6, 0.8, 7], [0, 0, 1]],
        "units": ("mm", "um"),
        "axis_labels": ("y", "x"),
    },
}
CORNERS = np.array([[0, 0], [0, 79], [59, 0], [59, 79], [30.25, 40.5]])


@pytest.fixture(params=list(PLACES))
def placed(request, viewer, open_session):
    """A session on an image somewhere in the world."""
    viewer.add_image(discs(), contrast_limits=(0, 255), **PLACES[request.param])
    session = open_session()
    session.wait(60)
    return session


def world(layer, positions=CORNERS):
    return np.array([layer.data_to_world(p) for p in positions])


def layers_of(session):
    return [session.points, session.shapes, session.preview, session.target]


def test_a_click_in_the_world_gives_the_object_beneath_it(placed, engines, disc):
    image = placed.image
    for centre, mask in zip(DISCS, disc, strict=True):
        placed.points.add(placed.points.world_to_data(image.data_to_world(centre)))
        placed.wait(60)
        assert engines[0].asked[-1].points[0].position == pytest.approx(centre)
        assert np.array_equal(placed.preview.data > 0, mask)
        placed.accept()
    assert np.array_equal(placed.target.data, disc[0] + 2 * disc[1])


def test_every_layer_of_ours_lies_on_the_image(placed, viewer):
    placed.points.add(DISCS[0])
    placed.wait(60)
    placed.accept()
    for layer in layers_of(placed):
        assert np.allclose(world(layer), world(placed.image), rtol=1e-9), layer
        assert layer.units == placed.image.units
        assert layer.axis_labels == placed.image.axis_labels
    assert viewer.layers.units is not None  # one layer without units would take them from all


@pytest.mark.parametrize("placed", ["plain", "all"], indirect=True)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", (3, 0.5)),
        ("translate", (9, 8)),
        ("rotate", 12),
        ("shear", [0.3]),
        ("affine", [[0, 1, 0], [-1, 0, 3], [0, 0, 1]]),
        ("units", ("nm", "nm")),
        ("axis_labels", ("b", "a")),
    ],
)
def test_our_layers_follow_the_image(placed, engines, name, value):
    placed.points.add(DISCS[0])
    placed.shapes.add_rectangles([[[5, 5], [30, 40]]])
    placed.wait(60)
    placed.new_target()
    setattr(placed.image, name, value)
    for layer in layers_of(placed):
        assert np.allclose(world(layer), world(placed.image), rtol=1e-9), layer
        assert layer.units == placed.image.units
        assert layer.axis_labels == placed.image.axis_labels
    placed.wait(60)
    assert engines[0].asked[-1].points == (PointPrompt(DISCS[0]),)
    assert engines[0].asked[-1].box == BoxPrompt((5, 5), (30, 40))


def test_adopted_prompts_are_read_through_the_world(placed, viewer, engines):
    image = placed.image
    place = {"scale": (0.7, 1.1), "rotate": 50, "translate": (4, 5), "units": image.units}
    layer = viewer.add_points(np.zeros((1, 2)), **place)
    layer.data = [layer.world_to_data(image.data_to_world(DISCS[0]))]
    before = world(layer, layer.data)
    placed.points = layer
    placed.wait(60)
    assert engines[0].asked[-1].points[0].position == pytest.approx(DISCS[0])
    image.scale = image.scale * 2
    placed.wait(60)
    assert np.allclose(world(layer, layer.data), before)  # ours follow, theirs stay


def test_adopted_prompts_in_other_units(viewer, open_session, engines):
    viewer.add_image(discs(), contrast_limits=(0, 255), units=("um", "um"), scale=(0.5, 0.5))
    layer = viewer.add_points([[7500.0, 10_000.0]], units=("nm", "nm"))
    session = open_session(image=viewer.layers[0])
    session.points = layer
    session.wait(60)
    assert engines[0].asked[-1].points[0].position == pytest.approx((15, 20))


@pytest.mark.parametrize(
    ("place", "spacing"),
    [
        ({"scale": (2, 3)}, (2, 3)),
        ({"scale": (-2, 3), "rotate": 30}, (2, 3)),
        ({"affine": [[0, 5, 0], [2, 0, 0], [0, 0, 1]]}, (2, 5)),
        ({"scale": (1, 500), "units": ("um", "nm")}, (1, 0.5)),
        ({"scale": (1, 500), "units": ("s", "nm")}, (1, 1)),
    ],
)
def test_the_model_hears_of_the_pixel_spacing(viewer, open_session, engines, place, spacing):
    viewer.add_image(discs(), **place)
    open_session().wait(60)
    given = engines[0].embedded[0].spacing
    assert given[0] / given[1] == pytest.approx(spacing[0] / spacing[1])


def test_grids_tell_a_hundredth_of_a_pixel_apart(viewer):
    one = LayerTransform.of(viewer, viewer.add_image(discs(), translate=(1e5, 0), scale=(0.1, 0.1)))
    assert one.matches(LayerTransform.of(viewer, viewer.add_image(discs(), translate=(1e5, 0), scale=(0.1, 0.1))))
    assert not one.matches(
        LayerTransform.of(viewer, viewer.add_image(discs(), translate=(1e5 + 1e-3, 0), scale=(0.1, 0.1)))
    )
    assert not one.matches(
        LayerTransform.of(viewer, viewer.add_image(discs(), translate=(1e5, 0), scale=(0.1, 0.10001)))
    )


def test_another_image_takes_the_prompts_along_in_the_world(session, viewer, engine, disc):
    session.points.add(DISCS[0])
    session.shapes.add_rectangles([[[10, 10], [20, 30]]])
    session.wait(60)
    before = world(session.points, session.points.data)
    other = viewer.add_image(discs(), contrast_limits=(0, 255), scale=(0.5, 0.5), translate=(2, 3))
    assert session.image is other  # it follows the active layer
    session.wait(60)
    assert np.allclose(world(session.points, session.points.data), before)
    # An image that is opened later lies on top; what is drawn on it must not be hidden beneath.
    assert viewer.layers.index(other) < min(viewer.layers.index(session.points), viewer.layers.index(session.shapes))
    assert viewer.layers.index(other) < viewer.layers.index(session.preview)
    assert engine.asked[-1].points[0].position == pytest.approx((26, 34))
    assert engine.asked[-1].box.start == pytest.approx((16, 14))


def test_the_image_follows_the_active_layer_until_one_is_set(session, viewer, image):
    other = viewer.add_image(discs())
    assert session.image is other
    session.image = image
    viewer.layers.selection.active = other
    assert session.image is image
    session.image = None
    assert session.image is other


def test_layers_that_are_no_images_do_not_change_the_image(session, viewer, image):
    viewer.add_labels(np.zeros(SHAPE, int))
    session.use_tool("box")
    assert session.image is image


def test_without_an_image_the_status_says_so(viewer, open_session, disc):
    session = open_session()
    assert session.image is None
    assert session.state.status.kind == "attention"
    assert "No image" in session.state.status.text
    assert session.state.next_id is None
    for command in ("accept", "clear", "undo", "redo", "toggle_polarity", "new_target", "next_candidate"):
        getattr(session, command)()
    session.use_tool("box")
    assert len(viewer.layers) == 0
    viewer.add_image(discs(), contrast_limits=(0, 255))
    session.points.add(DISCS[0])
    session.wait(60)
    assert np.array_equal(session.preview.data > 0, disc[0])


def test_removing_the_image_leaves_no_image(session, viewer, image):
    session.points.add(DISCS[0])
    session.wait(60)
    viewer.layers.remove(image)
    assert session.image is None
    assert session.state.candidates == ()
    assert "No image" in session.state.status.text
    session.wait(60)
    back = viewer.add_image(discs(), contrast_limits=(0, 255))
    assert session.image is back
    session.wait(60)
    assert session.state.candidates  # the prompts were never lost


# -- volumes --------------------------------------------------------------------------------------

VOLUME = (5, 60, 80)


def volume():
    """Discs that are on planes 2 and 3 only, and differ in size."""
    stack = np.zeros(VOLUME, np.uint8)
    stack[2] = discs()
    stack[3] = np.flipud(discs())
    return stack


@pytest.fixture
def stack(viewer, open_session):
    viewer.add_image(volume(), contrast_limits=(0, 255), scale=(4, 1, 1), axis_labels=("z", "y", "x"))
    viewer.dims.set_point(0, 8)
    session = open_session()
    session.wait(60)
    return session


def test_the_plane_on_screen_is_read_and_written(stack, disc, viewer):
    stack.points.add((2, *DISCS[0]))
    stack.wait(60)
    assert stack.preview.data.shape == (1, 60, 80)  # no second volume
    assert np.array_equal(stack.preview.data[0] > 0, disc[0])
    assert np.allclose(stack.preview.data_to_world((0, 0, 0)), (8, 0, 0))
    assert "z = 2" in stack.state.status.text
    stack.accept()
    assert np.array_equal(np.flatnonzero(stack.target.data.any(axis=(1, 2))), [2])
    assert np.array_equal(stack.target.data[2] > 0, disc[0])


def test_prompts_belong_to_the_plane_that_they_round_to(stack, engines, viewer, disc):
    stack.points.add([[2.4, *DISCS[0]], [3.0, *DISCS[1]], [2, 200, 200]])
    stack.shapes.add([[3, 5, 5], [3, 5, 20], [3, 20, 20], [3, 20, 5]])
    stack.wait(60)
    assert engines[0].asked[-1].points == (PointPrompt(DISCS[0]),)
    assert engines[0].asked[-1].box is None
    assert "1 prompt lies outside" in stack.state.status.text
    viewer.dims.set_point(0, 12)
    stack.wait(60)
    assert engines[0].asked[-1].points == (PointPrompt(DISCS[1]),)
    assert engines[0].asked[-1].box == BoxPrompt((5, 5), (20, 20))
    viewer.dims.set_point(0, 4)
    stack.wait(60)
    assert stack.state.candidates == ()
    assert not stack.preview.data.any()
    assert len(stack.points.data) == 3


def test_clear_and_accept_touch_their_own_plane_only(stack, viewer):
    stack.points.add([[2, *DISCS[0]], [3, 44, 20]])
    stack.wait(60)
    stack.accept()
    assert np.allclose(stack.points.data, [[3, 44, 20]])
    viewer.dims.set_point(0, 12)
    stack.clear()
    assert len(stack.points.data) == 0
    stack.undo()
    stack.undo()
    assert len(stack.points.data) == 2
    assert not stack.target.data.any()


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_any_pair_of_axes_either_way_round(viewer, open_session, engines, order):
    solid = np.zeros((40, 50, 60), np.uint8)
    solid[10:20, 25:40, 5:30] = 200
    viewer.add_image(solid, contrast_limits=(0, 255), scale=(3, 2, 1), translate=(1, 2, 3))
    viewer.dims.order = order
    centre = np.array([15, 32, 17])
    hidden = order[0]
    viewer.dims.set_point(hidden, viewer.layers[0].data_to_world(centre)[hidden])
    session = open_session()
    session.points.add(centre)
    session.wait(60)
    axes = sorted(order[1:])
    index = [slice(None)] * 3
    index[hidden] = centre[hidden]
    asked = engines[0]
    assert asked.asked[-1].points[0].position == pytest.approx(tuple(centre[axes]))
    assert np.array_equal(asked.planes[-1].pixels, solid[tuple(index)])
    assert asked.planes[-1].spacing == pytest.approx(tuple(np.array([3, 2, 1])[axes]))
    session.accept()
    written = np.argwhere(session.target.data)
    assert set(written[:, hidden]) == {centre[hidden]}
    y, x = np.ogrid[: solid.shape[axes[0]], : solid.shape[axes[1]]]
    near = (y - centre[axes[0]]) ** 2 + (x - centre[axes[1]]) ** 2 <= 64
    assert np.array_equal(session.target.data[tuple(index)] > 0, (solid[tuple(index)] > 0) & near)


def test_a_plane_image_in_a_viewer_with_more_axes(viewer, open_session, engines, disc):
    image = viewer.add_image(discs(), contrast_limits=(0, 255))
    viewer.add_image(np.zeros((7, 60, 80)))
    session = open_session(image=image)
    session.points.add(DISCS[0])
    session.wait(60)
    assert np.array_equal(session.preview.data > 0, disc[0])
    viewer.dims.order = (1, 2, 0)
    assert session.state.status.kind == "attention"
    assert "not both axes of this image" in session.state.status.text
    session.wait(60)
    viewer.dims.order = (0, 1, 2)
    session.wait(60)
    assert np.array_equal(session.preview.data > 0, disc[0])


def test_time_is_an_axis_like_any_other(viewer, open_session, engines):
    series = np.zeros((3, 4, 60, 80), np.uint8)
    series[1, 2] = discs()
    viewer.add_image(series, contrast_limits=(0, 255))
    viewer.dims.set_current_step((0, 1), (1, 2))
    session = open_session()
    session.points.add((1, 2, *DISCS[0]))
    session.wait(60)
    session.accept()
    assert np.argwhere(session.target.data)[:, :2].tolist() == [[1, 2]] * int(session.target.data.sum())


def test_only_the_plane_on_screen_is_ever_read(viewer, open_session, engines):
    class Lazy:
        shape, ndim, dtype = (1000, 60, 80), 3, np.dtype(np.uint8)
        reads: list = []  # noqa: RUF012  # one test, one class

        def __getitem__(self, index):
            Lazy.reads.append(index)
            planes = range(1000)[index[0]]
            return discs()[index[1:]] if isinstance(planes, int) else np.stack([discs()[index[1:]]] * len(planes))

    viewer.add_image(Lazy(), contrast_limits=(0, 255), multiscale=False)
    viewer.dims.set_point(0, 500)
    session = open_session()
    session.wait(60)
    Lazy.reads.clear()
    session.points.add((500, *DISCS[0]))
    session.wait(60)
    session.points.add((500, 15, 22))
    session.wait(60)
    assert len(engines[0].asked) == 2
    assert all(index[0] == 500 for index in Lazy.reads)
    assert len(Lazy.reads) <= 1  # and not at every click


def refusal(session):
    assert session.state.status.kind == "attention"
    assert session.state.candidates == ()
    assert not session.state.can_accept
    return session.state.status.text


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing", "ignore:Contours are not displayed")
def test_what_is_no_plane_is_refused_with_words(stack, viewer):
    stack.points.add((2, *DISCS[0]))
    stack.wait(60)
    viewer.dims.ndisplay = 3
    assert "3D view" in refusal(stack)
    viewer.dims.ndisplay = 2
    stack.wait(60)
    assert stack.state.candidates
    viewer.dims.thickness = (9, 0, 0)
    assert "projected" in refusal(stack)
    viewer.dims.thickness = (0, 0, 0)
    stack.wait(60)
    assert stack.state.candidates
    stack.image.rotate = (0, 20, 0)
    assert "slant" in refusal(stack)


def test_turning_3d_on_with_nothing_shown_warns_of_nothing(stack, viewer):
    stack.points.add((2, *DISCS[0]))
    stack.wait(60)
    assert stack.preview.contour > 0
    stack.accept()
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    stack.points.add((2, *DISCS[1]))
    stack.wait(60)
    assert stack.preview.contour > 0


def test_a_rotation_within_the_plane_is_no_slant(viewer, open_session):
    turn = np.eye(3)
    turn[1:, 1:] = [[0.8, -0.6], [0.6, 0.8]]
    viewer.add_image(volume(), rotate=turn, scale=(4, 1, 1))
    assert open_session().state.status.kind != "attention"


def test_a_pyramid_is_worked_on_at_full_resolution(viewer, open_session, disc):
    viewer.add_image([discs(), discs()[::2, ::2]], multiscale=True, contrast_limits=(0, 255))
    session = open_session()
    session.points.add(DISCS[0])
    session.wait(60)
    assert np.array_equal(session.preview.data > 0, disc[0])


def test_a_plane_outside_the_image_is_refused_with_words(stack, viewer):
    viewer.add_points([[100.0, 0, 0]])
    viewer.dims.set_point(0, 80)
    assert "outside" in refusal(stack)
    viewer.dims.set_point(0, 8)
    assert stack.state.status.kind != "attention"


def test_an_image_with_other_axes_gets_prompt_layers_of_its_own(session, viewer, engine, image):
    session.points.add(DISCS[0])
    flat = session.points
    viewer.add_image(volume(), contrast_limits=(0, 255))
    assert session.points.ndim == 3
    assert len(flat.data) == 1 and flat in viewer.layers
    session.image = image
    assert session.points is flat  # left free, and taken up again
    session.wait(60)
    assert session.state.candidates


def test_the_scale_of_a_viewer_in_other_units(open_session, engines):
    viewer = ViewerModel()
    viewer.add_image(volume(), contrast_limits=(0, 255), units=("um",) * 3, scale=(1, 1, 1))
    viewer.add_points(np.zeros((1, 3)), units=("nm",) * 3)
    viewer.dims.set_point(0, 2000)  # the viewer counts in nm now
    session = open_session(viewer, image=viewer.layers[0])
    assert "3" not in session.state.status.text
    session.points.add((2, *DISCS[0]))
    session.wait(60)
    assert np.array_equal(engines[0].planes[-1].pixels, discs())
