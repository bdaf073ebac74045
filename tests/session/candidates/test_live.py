"""From a change of a layer to a mask in the preview."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Points, Shapes
from session_scenery import DISCS, click, discs

from napari_sam.errors import InputError, WeightsError
from napari_sam.prompts import BoxPrompt, PointPrompt, PromptSet, ScribblePrompt


def shown(session):
    return session.preview.data.reshape(session.image.data.shape[:2]) > 0


def test_a_point_makes_a_mask_and_three_candidates(session, disc):
    session.points.add(DISCS[0])
    session.wait(60)
    assert np.array_equal(shown(session), disc[0])
    assert [c.score for c in session.state.candidates] == pytest.approx([0.9, 0.8, 0.7])
    assert session.state.selected == 0
    assert session.state.candidates[0].area == disc[0].sum()
    assert session.state.can_accept and session.state.can_clear and session.state.can_undo


def test_the_image_is_encoded_before_anything_is_asked(session, engine):
    assert len(engine.embedded) == 1
    assert not engine.asked
    assert session.state.status.kind == "idle"
    assert session.state.device == "CPU (auto)"


def test_candidates_cycle_and_a_further_click_goes_on_from_the_chosen_one(session, engine):
    session.points.add(DISCS[0])
    session.wait(60)
    sizes = []
    for _ in range(4):
        sizes.append(int(shown(session).sum()))
        session.next_candidate()
    assert sizes[0] == sizes[3]
    assert len(set(sizes[:3])) >= 2
    assert session.state.selected == 1
    session.points.add((15, 22))
    session.wait(60)
    assert session.state.selected == 0
    assert len(session.state.candidates) == 1


def test_select_candidate_ignores_what_is_not_there(session):
    session.select_candidate(0)
    assert session.state.selected == -1
    session.points.add(DISCS[0])
    session.wait(60)
    session.select_candidate(7)
    assert session.state.selected == 0


def test_polarity_goes_to_the_model(session, engine):
    click(session, DISCS[0])
    click(session, (15, 25), positive=False)
    session.wait(60)
    assert engine.asked[-1].points == (PointPrompt(DISCS[0], True), PointPrompt((15, 25), False))


def test_flipping_the_polarity_leaves_points_alone(session, engine):
    # napari keeps the newest point selected and would turn it too
    session.use_tool("positive")
    session.points.add(DISCS[0])
    session.points.selected_data = {0}
    session.toggle_polarity()
    assert session.state.tool == "negative"
    assert not session.points.selected_data
    assert list(session.points.features["polarity"]) == ["positive"]
    session.points.add((15, 25))
    session.toggle_polarity()
    assert session.state.tool == "positive"
    assert list(session.points.features["polarity"]) == ["positive", "negative"]
    session.wait(60)
    assert [p.positive for p in engine.asked[-1].points] == [True, False]


def test_a_click_stays_in_the_colour_of_its_polarity(session):
    click(session, DISCS[0])
    assert not session.points.selected_data  # napari would draw it blue
    session.points.mode = "select"
    session.points.selected_data = {0}
    session.points.features = session.points.features
    assert set(session.points.selected_data) == {0}  # a selection that the person made stays


def test_taking_a_tool_leaves_the_looks_of_selected_points_alone(session):
    click(session, DISCS[0])
    session.points.mode = "select"
    session.points.selected_data = {0}
    session.use_tool("negative")
    assert [str(s) for s in session.points.symbol] == ["disc"]
    assert list(session.points.features["polarity"]) == ["positive"]


def test_polarity_shows_in_colour_and_shape(session):
    click(session, DISCS[0])
    click(session, (15, 25), positive=False)
    symbols = [str(s) for s in session.points.symbol]
    assert symbols == ["disc", "x"]
    assert not np.allclose(session.points.face_color[0], session.points.face_color[1])
    assert np.allclose(session.points.border_color[0], (0, 0, 0, 1))


def test_a_program_may_set_points_and_polarity(session, engine):
    session.points.data = np.array([DISCS[0], (15, 25), (12, 20)], dtype=float)
    session.points.features = pd.DataFrame({"polarity": ["positive", "negative", "negative"]})
    session.wait(60)
    assert [p.positive for p in engine.asked[-1].points] == [True, False, False]
    assert [str(s) for s in session.points.symbol] == ["disc", "x", "x"]
    assert np.allclose(session.points.face_color[1], session.points.face_color[2])
    assert not np.allclose(session.points.face_color[0], session.points.face_color[1])
    # The border must follow: it is most of what is seen of a point whose size on the screen is limited.
    assert np.allclose(session.points.border_color[1:], session.points.face_color[1:])


def test_dragging_a_point_asks_again(session, disc):
    session.points.add(DISCS[0])
    session.wait(60)
    from napari.utils._test_utils import read_only_mouse_event
    from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks

    session.points.mode = "select"
    shared = {"dims_displayed": [0, 1], "view_direction": None}
    mouse_press_callbacks(session.points, read_only_mouse_event("mouse_press", position=DISCS[0], **shared))
    for position in ((25, 40), DISCS[1]):
        event = read_only_mouse_event("mouse_move", is_dragging=True, position=position, **shared)
        mouse_move_callbacks(session.points, event)
    mouse_release_callbacks(session.points, read_only_mouse_event("mouse_release", position=DISCS[1], **shared))
    session.wait(60)
    assert np.allclose(session.points.data, [DISCS[1]])
    assert np.array_equal(shown(session), disc[1])


@pytest.mark.parametrize("how", ["remove", "empty", "remove_selected", "layer"])
def test_deleting_the_last_prompt_clears_the_preview(session, viewer, how):
    session.points.add(DISCS[0])
    session.wait(60)
    assert shown(session).any()
    match how:
        case "remove":
            session.points.remove([0])
        case "empty":
            session.points.data = np.empty((0, 2))
        case "remove_selected":
            session.points.remove_selected()
        case "layer":
            viewer.layers.remove(session.points)
    assert not shown(session).any()
    assert session.state.candidates == ()
    assert not session.state.can_accept and not session.state.can_clear
    session.wait(60)
    assert not shown(session).any()


def test_a_selection_of_points_that_are_gone_does_no_harm(session):
    click(session, DISCS[0])
    session.points.data = np.empty((0, 2))
    session.toggle_polarity()
    session.points.add((3, 3))
    assert list(session.points.features["polarity"]) == ["negative"]


def test_nothing_new_is_not_asked_again(session, engine):
    session.points.add(DISCS[0])
    session.wait(60)
    session.points.data = session.points.data.copy()
    session.points.refresh()
    session.points.size = 5
    session.wait(60)
    assert len(engine.asked) == 1


def test_a_rectangle_counts_as_a_box(session, engine):
    corners = np.array([[5, 10], [5, 30], [25, 30], [25, 10]], dtype=float)
    session.shapes.add(corners, shape_type="rectangle")
    session.wait(60)
    box = engine.asked[-1].box
    assert box.start == pytest.approx((5, 10))
    assert box.stop == pytest.approx((25, 30))


def test_the_newest_box_counts_and_takes_the_place_of_older_ones(session, engine):
    older, newer = [[5, 5], [20, 20]], [[30, 50], [50, 70]]
    session.shapes.add_rectangles([older])
    session.wait(60)
    session.shapes.add_rectangles([newer])
    session.wait(60)
    assert engine.asked[-1].box == BoxPrompt(*newer)
    assert len(session.shapes.data) == 1 and session.state.status.kind == "idle"
    session.undo()
    session.wait(60)
    assert len(session.shapes.data) == 1 and engine.asked[-1].box == BoxPrompt(*older)
    session.redo()
    session.undo()
    session.undo()
    assert len(session.shapes.data) == 0
    session.shapes.add_rectangles([older, newer])
    session.wait(60)
    assert len(session.shapes.data) == 1 and engine.asked[-1].box == BoxPrompt(*newer)


def test_boxes_of_other_planes_stay(viewer, open_session):
    viewer.add_image(np.zeros((3, 40, 50), np.uint8), contrast_limits=(0, 255))
    session = open_session()
    box = np.array([[5, 5], [5, 20], [20, 20], [20, 5]])
    for plane in (2, 1, 1):  # the first plane on screen is 1
        session.shapes.add(np.column_stack([np.full(4, plane), box]), shape_type="rectangle")
    assert [vertices[0, 0] for vertices in session.shapes.data] == [2, 1]


def test_in_a_layer_of_the_persons_the_newest_box_counts_and_none_is_deleted(session, viewer, engine):
    layer = viewer.add_shapes([[[5, 5], [5, 25], [25, 25], [25, 5]]])
    session.shapes = layer
    layer.add_rectangles([[[30, 50], [50, 70]], [[2, 2], [2, 2]]])
    session.wait(60)
    assert engine.asked[-1].box == BoxPrompt((30, 50), (50, 70))
    assert len(layer.data) == 3
    assert session.state.status.kind == "attention" and "newest" in session.state.status.text


def test_a_box_and_points_are_one_prompt(session, engine):
    session.shapes.add_rectangles([[[5, 5], [30, 40]]])
    click(session, (15, 25), positive=False)
    session.wait(60)
    assert engine.asked[-1].box is not None
    assert engine.asked[-1].points == (PointPrompt((15, 25), False),)


def test_a_line_counts_as_a_scribble(session, engine):
    session.shapes.add_lines([[5, 5], [20, 20]])
    session.wait(60)
    assert engine.asked[-1] == PromptSet((ScribblePrompt(((5.0, 5.0), (20.0, 20.0))),))


@pytest.mark.parametrize("zoom", [0.1, 1.0, 8.0])
def test_a_plain_click_in_rectangle_mode_is_ignored(session, engine, zoom):
    from napari.utils._test_utils import read_only_mouse_event
    from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks

    session.use_tool("box")
    session.shapes.scale_factor = zoom  # what a canvas sets: data pixels in a screen pixel
    shared = {"dims_displayed": [0, 1], "view_direction": None, "position": (20, 20)}
    mouse_press_callbacks(session.shapes, read_only_mouse_event("mouse_press", **shared))
    mouse_release_callbacks(session.shapes, read_only_mouse_event("mouse_release", **shared))
    assert len(session.shapes.data) == 0 and not session.state.can_undo
    assert "Drag" in session.state.status.text
    session.shapes.scale_factor = 0.01  # zooming in later makes no box of it
    session.points.add(DISCS[0])
    session.wait(60)
    assert [prompts.box for prompts in engine.asked] == [None]


def test_a_small_box_drawn_while_zoomed_in_counts_and_goes_on_counting(session, engine):
    session.shapes.scale_factor = 0.1
    session.shapes.add_rectangles([[[14, 19], [15.5, 20.5]]])
    session.wait(60)
    session.shapes.scale_factor = 10.0
    session.points.add(DISCS[0])
    session.wait(60)
    assert [prompts.box is not None for prompts in engine.asked] == [True, True]


def test_prompts_outside_the_image_are_kept_and_told(session, engine, disc):
    session.points.add([[-5, 3], [200, 20]])
    session.wait(60)
    assert not engine.asked
    assert session.state.status.kind == "attention"
    assert "2 prompts lie outside" in session.state.status.text
    session.points.add(DISCS[0])
    session.shapes.add_rectangles([[[-50, -50], [-30, -30]]])
    session.wait(60)
    assert engine.asked[-1].points == (PointPrompt(DISCS[0]),)
    assert engine.asked[-1].box is None
    assert "3 prompts lie outside" in session.state.status.text
    assert np.array_equal(shown(session), disc[0])
    assert len(session.points.data) == 3 and len(session.shapes.data) == 1


def test_the_border_of_the_image_is_at_the_edges_of_its_pixels(session, engine):
    session.points.add([[-0.5, -0.4], [59.4, 79.5]])
    session.wait(60)
    assert session.state.status.kind == "idle"
    assert len(engine.asked[-1].points) == 2
    session.points.add([[-0.51, 0]])
    session.wait(60)
    assert "1 prompt lies outside" in session.state.status.text


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # in the thumbnail that napari draws
def test_not_a_number_is_no_position(session, engine):
    session.points.add([[np.nan, 3.0]])
    session.wait(60)
    assert not engine.asked
    assert "outside" in session.state.status.text


def test_a_background_point_alone_asks_nothing(session, engine):
    click(session, DISCS[0], positive=False)
    session.wait(60)
    assert not engine.asked
    assert session.state.status.kind == "attention"
    click(session, DISCS[1])
    session.wait(60)
    assert len(engine.asked[-1].points) == 2
    assert session.state.status.kind == "idle"


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (discs(dtype=np.uint16, high=3000), {}),
        (np.where(discs() > 0, 0.7, np.nan), {"contrast_limits": (0, 1)}),
        (discs().astype(bool), {}),
        (np.stack([discs()] * 3, axis=-1), {"rgb": True}),
        (np.stack([discs()] * 4, axis=-1), {"rgb": True}),
        (discs(dtype=np.int64, high=-5), {}),
    ],
)
def test_any_kind_of_pixel(viewer, open_session, disc, pixels, options):
    image = viewer.add_image(pixels, **options)
    session = open_session()
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.image is image
    assert np.array_equal(shown(session), disc[0])
    session.accept()
    assert np.array_equal(session.target.data > 0, disc[0])


def test_the_window_goes_to_the_model_and_a_change_encodes_again(session, image, engine):
    image.contrast_limits = (10, 100)
    image.gamma = 0.5
    image.contrast_limits = (20, 90)
    session.wait(60)
    assert len(engine.embedded) == 2  # a burst counts once
    assert engine.embedded[-1].contrast_limits == (20, 90)
    assert engine.embedded[-1].gamma == 0.5


def test_a_change_of_the_window_answers_the_prompts_anew(session, image, engine):
    session.points.add(DISCS[0])
    session.wait(60)
    image.contrast_limits = (0, 100)
    assert session.state.candidates == ()
    session.wait(60)
    assert engine.planes[-1].contrast_limits == (0, 100)
    assert session.state.candidates


def test_new_pixels_are_read(session, image, engine):
    image.data = np.flipud(discs())
    session.wait(60)
    assert np.array_equal(engine.embedded[-1].pixels, np.flipud(discs()))
    # in place, with the refresh that it takes to see it
    image.data[:] = discs()
    image.refresh()
    session.points.add(DISCS[0])
    session.wait(60)
    assert np.array_equal(engine.planes[-1].rendered[..., 0], discs())


def test_an_older_answer_is_never_shown(session, engine, disc):
    engine.gate.clear()
    session.points.add(DISCS[0])
    assert engine.started.wait(60)
    session.points.data = np.array([DISCS[1]], dtype=float)
    assert session.state.status.kind == "working"
    engine.gate.set()
    session.wait(60)
    assert np.array_equal(shown(session), disc[1])


def test_an_answer_to_prompts_that_are_gone_is_never_shown(session, engine):
    engine.gate.clear()
    session.points.add(DISCS[0])
    assert engine.started.wait(60)
    session.clear()
    engine.gate.set()
    session.wait(60)
    assert session.state.candidates == ()
    assert not shown(session).any()
    assert session.state.status.kind == "idle"


def test_clicks_that_come_faster_than_answers_are_answered_once(session, engine):
    engine.gate.clear()
    session.points.add(DISCS[0])
    assert engine.started.wait(60)
    for x in range(16, 24):
        session.points.add((15, x))
    engine.gate.set()
    session.wait(60)
    assert len(engine.asked) == 2
    assert len(engine.asked[-1].points) == 9


def test_cancel_stops_and_the_next_click_works(session, engine, disc):
    engine.gate.clear()
    session.points.add(DISCS[0])
    assert engine.started.wait(60)
    assert session.state.status.cancellable
    session.cancel()
    assert session.state.status.text == "Cancelled."
    engine.gate.set()
    session.wait(60)
    assert session.state.candidates == ()
    session.points.add((15, 21))
    session.wait(60)
    assert np.array_equal(shown(session), disc[0] & shown(session))
    assert session.state.candidates


def test_our_errors_speak_for_themselves(viewer, image, open_session):
    def fail(model, device, progress):
        raise WeightsError("The weights are not here. Download them.")

    session = open_session(engine_factory=fail)
    session.wait(60)
    assert session.state.status.kind == "failed"
    assert session.state.status.text == "The weights are not here. Download them."


def test_unexpected_errors_name_their_kind_and_go_to_the_log(session, engine, caplog):
    engine.error = ZeroDivisionError("by nothing")
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.state.status.kind == "failed"
    assert "ZeroDivisionError: by nothing" in session.state.status.text
    assert "log" in session.state.status.text
    assert any(record.exc_info for record in caplog.records)
    engine.error = None
    session.points.add((15, 21))
    session.wait(60)
    assert session.state.status.kind == "idle"


def test_what_the_engine_notices_is_told(session, engine):
    engine.notice = "The GPU is full: the model now runs on the CPU."
    session.points.add(DISCS[0])
    session.wait(60)
    assert session.state.status.text == engine.notice


def test_wait_gives_up(session, engine):
    engine.gate.clear()
    session.points.add(DISCS[0])
    with pytest.raises(TimeoutError, match="at work"):
        session.wait(0.05)
    engine.gate.set()


def test_another_model_answers_the_prompts_in_place(session, engines):
    session.points.add(DISCS[0])
    session.wait(60)
    session.model = "vit_b"
    session.wait(60)
    assert [e.model for e in engines] == ["bundled", "vit_b"]
    assert engines[1].asked[0].points == (PointPrompt(DISCS[0]),)
    assert session.state.model == "vit_b"
    session.device = "cpu"
    session.wait(60)
    assert session.state.device == "CPU (cpu)"
    assert len(engines[2].asked) == 1


def test_answers_come_through_post(viewer, image, open_session, disc):
    mail = []
    session = open_session(post=mail.append)
    session.points.add(DISCS[0])
    deadline = threading.Event()
    for _ in range(400):
        while mail:
            mail.pop(0)()
        if session.state.candidates:
            break
        deadline.wait(0.01)
    assert np.array_equal(shown(session), disc[0])


def test_points_of_the_persons_are_adopted_where_they_lie(session, viewer, engine):
    session.image.scale = (2, 2)
    layer = viewer.add_points([[30.0, 40.0]], translate=(0, 0))
    before = layer.data.copy(), layer.scale.copy()
    session.points = layer
    session.wait(60)
    assert engine.asked[-1].points == (PointPrompt((15, 20)),)
    assert np.array_equal(layer.data, before[0]) and np.array_equal(layer.scale, before[1])
    assert list(layer.features["polarity"]) == ["positive"]
    session.close()
    assert layer in viewer.layers


def test_an_empty_layer_of_the_persons_is_adopted(session, viewer, engine):
    session.points = viewer.add_points(ndim=2)
    session.points.add([20, 20])
    session.wait(60)
    assert engine.asked[-1].points == (PointPrompt((20.0, 20.0)),)


def test_a_prompt_layer_that_is_deleted_and_put_back_is_used_again(session, viewer):
    layer = session.points
    layer.add([20, 20])
    viewer.layers.remove(layer)
    viewer.layers.append(layer)
    session.use_tool("positive")
    assert session.points is layer
    assert sum(isinstance(each, Points) for each in viewer.layers) == 1


def test_shapes_of_the_persons_are_adopted_where_they_lie(session, viewer, engine):
    layer = viewer.add_shapes([[[5, 5], [5, 25], [25, 25], [25, 5]]], translate=(3, 4))
    session.shapes = layer
    session.wait(60)
    assert engine.asked[-1].box == BoxPrompt((8, 9), (28, 29))


def test_prompts_left_behind_are_taken_up_again(session, viewer, open_session, engines, disc):
    session.points.add(DISCS[1])
    session.shapes.add_rectangles([[[30, 50], [50, 70]]])
    session.wait(60)
    points, shapes = session.points, session.shapes
    session.close()
    assert points in viewer.layers and shapes in viewer.layers
    again = open_session()
    assert again.points is points and again.shapes is shapes
    again.wait(60)
    assert len(engines[1].asked[-1].points) == 1


def test_a_second_session_makes_layers_of_its_own(session, open_session):
    session.points.add(DISCS[0])
    other = open_session()
    assert other.points is not session.points
    with pytest.raises(InputError, match="another session"):
        other.points = session.points


def test_layers_that_do_not_fit_are_refused(session, viewer):
    with pytest.raises(InputError, match="3 axes"):
        session.points = viewer.add_points(np.zeros((1, 3)))
    with pytest.raises(InputError, match="not in this viewer"):
        session.points = Points(np.zeros((1, 2)))
    with pytest.raises(InputError, match="Points layer"):
        session.points = Shapes()


@pytest.mark.parametrize("which", ["points", "shapes", "preview"])
def test_a_layer_that_was_removed_comes_back_when_needed(session, viewer, which, disc):
    session.points.add(DISCS[0])
    session.shapes.add_rectangles([[[2, 2], [4.5, 4.5]]])
    session.wait(60)
    gone = getattr(session, which)
    viewer.layers.remove(gone)
    assert getattr(session, which) is not gone
    assert getattr(session, which) in viewer.layers
    session.clear()
    session.points.add(DISCS[1])
    session.wait(60)
    assert np.array_equal(shown(session), disc[1])


def test_two_viewers_two_sessions(session, open_session, disc):
    second = ViewerModel()
    second.add_image(np.fliplr(discs()), contrast_limits=(0, 255))
    other = open_session(second)
    session.points.add(DISCS[0])
    other.points.add((15, 59))
    session.wait(60)
    other.wait(60)
    assert np.array_equal(shown(session), disc[0])
    assert np.array_equal(shown(other), np.fliplr(disc[0]))
    assert len(session.points.data) == len(other.points.data) == 1
    other.close()
    session.clear()
    session.points.add(DISCS[1])
    session.wait(60)
    assert np.array_equal(shown(session), disc[1])


def test_a_viewer_in_napari_s_plugin_proxy_works_alike(viewer, image, open_session, disc):
    from napari.utils._proxies import PublicOnlyProxy

    proxy = PublicOnlyProxy(viewer)
    session = open_session(proxy)
    session.image = proxy.layers[0]
    assert session.image is image
    session.points.add(DISCS[0])
    session.wait(60)
    session.accept()
    session.target = proxy.layers[session.target.name]
    assert np.array_equal(session.target.data > 0, disc[0])
