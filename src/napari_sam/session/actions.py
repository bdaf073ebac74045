"""Every command with its words and its keys: buttons, key bindings, the legend and the docs read this table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_sam.session.settings import SessionSettings
    from napari_sam.session.state import ObjectTool, Review, SessionState, Tool


class ObjectActions(Protocol):
    """What an action may do with objects that exist."""

    def use_tool(self, tool: ObjectTool) -> None:
        """Let clicks choose objects."""

    def delete(self, *, plane_only: bool = False) -> None:
        """Delete the picked object, or the one under the cursor."""


class StackActions(Protocol):
    """The part of `napari_sam.session.propagation.commands.PropagationCommands` that has words and keys."""

    def propagate(self) -> None:
        """Carry the object through the stack."""

    def next_weak_plane(self) -> None:
        """Go to the next plane where the current object is weak."""

    def copy_prompts(self, step: int = 1) -> None:
        """Write this plane, and set its prompts on a neighbouring one."""

    def toggle_same_object(self) -> None:
        """Let accept write the current object again, or a new one."""


class ManyCommands(Protocol):
    """What an action may run on many objects at once."""

    def accept_confident(self) -> None:
        """Write those of the objects that were found that can be trusted."""

    def make(self) -> None:
        """Make an object of each prompt that is drawn."""

    def next_to_annotate(self) -> None:
        """Go to the plane of a stack that is best annotated next."""


class TableActions(Protocol):
    """The part of `napari_sam.session.table.commands.TableCommands` that has words and keys."""

    def choose_class(self, number: int) -> None:
        """Give the chosen object, or else new ones, a class of the list, from 1 on; 0 for none."""

    def review(self, value: Review) -> None:
        """Say of the chosen object, or of the one accepted last, that it is "checked" or "unsure"."""

    def next_unchecked(self) -> None:
        """Go to the next object of which the person said nothing yet."""


class SeriesActions(Protocol):
    """The part of `napari_sam.session.series.commands.SeriesCommands` that has words and keys."""

    def next(self) -> None:
        """Open the next image."""

    def previous(self) -> None:
        """Open the image before."""

    def done(self) -> None:
        """Mark the image as done, and open the next."""

    def skip(self) -> None:
        """Leave the image out, and open the next."""

    def next_to_annotate(self) -> None:
        """Open the image that is best annotated next."""


class Commands(Protocol):
    """What an action may run: the part of `napari_sam.session.Session` that has words and keys."""

    settings: SessionSettings

    @property
    def objects(self) -> ObjectActions:
        """The commands for objects that exist."""

    @property
    def everything(self) -> ManyCommands:
        """Many objects at once."""

    @property
    def state(self) -> SessionState:
        """What the panels show; it tells which actions would do something."""

    @property
    def series(self) -> SeriesActions:
        """The commands for images one after the other."""

    @property
    def stack(self) -> StackActions:
        """The commands for objects in stacks."""

    def use_tool(self, tool: Tool) -> None:
        """Select the prompt layer of a tool, in the mode for it."""

    def toggle_polarity(self) -> None:
        """Turn the next click from object to background, or back."""

    def next_candidate(self) -> None:
        """Show the next candidate."""

    def accept(self) -> None:
        """Write the candidate into the target."""

    def clear(self) -> None:
        """Delete what is drawn on this plane."""

    def clear_all(self) -> None:
        """Delete what is drawn on all planes."""

    def undo(self) -> None:
        """Take back the last step."""

    def redo(self) -> None:
        """Do again what was undone last."""

    def teach(self) -> None:
        """Have the model taught what is labelled."""

    def cancel(self) -> None:
        """Stop the work that is under way."""

    @property
    def table(self) -> TableActions:
        """What is done with the table of objects, and their classes."""


@dataclass(frozen=True, slots=True)
class Action:
    """One command.

    Attributes
    ----------
    id : str
        Its name in `ACTIONS`.
    title : str
        Words of its button.
    tooltip : str
        What it does, in one sentence.
    keys : tuple of str
        Its keys, as napari writes them. Each works wherever napari does not use it itself (see `KeyBindings`); the last
        one is free on every layer that a person stands on.
    run : callable
        Takes the commands of a session.
    enabled : callable
        Takes the state, and tells whether the command would do something.
    group : str
        Words for this and the actions beside it, which are one line of the legend; "" for a line of its own.
    """

    id: str
    title: str
    tooltip: str
    keys: tuple[str, ...]
    run: Callable[[Commands], None]
    enabled: Callable[[SessionState], bool]
    group: str = ""


def _has_image(state: SessionState) -> bool:
    return state.next_id is not None


def _has_series(state: SessionState) -> bool:
    return bool(state.series.images)


def _has_series_image(state: SessionState) -> bool:
    return state.series.index is not None


def _has_next(state: SessionState) -> bool:
    return bool(state.series.images) or bool(state.everything.axes)


def _next_to_annotate(commands: Commands) -> None:
    if commands.state.series.images:
        commands.series.next_to_annotate()
    else:
        commands.everything.next_to_annotate()


def _has_plane(state: SessionState) -> bool:
    return state.objects.can_pick


def _has_target(state: SessionState) -> bool:
    return state.table.has_target


def _can_teach(state: SessionState) -> bool:
    return state.table.has_target or any(status in ("started", "done") for _name, status in state.series.images)


def _choose_class(number: int, commands: Commands) -> None:
    commands.table.choose_class(number)


def _has_class(number: int, state: SessionState) -> bool:
    classes = len(state.table.classes)
    return state.next_id is not None and (number <= classes if number else classes > 0)


_TABLE = (
    Action(
        "tool_positive",
        "Point +",
        "Click what belongs to the object.",
        ("Q",),
        lambda commands: commands.use_tool("positive"),
        _has_image,
    ),
    Action(
        "tool_negative",
        "Point −",  # noqa: RUF001  # a minus sign, not a hyphen
        "Click what does not belong to the object.",
        ("Shift-Q",),
        lambda commands: commands.use_tool("negative"),
        _has_image,
    ),
    Action(
        "tool_box",
        "Box",
        "Drag a box around the object.",
        ("W",),
        lambda commands: commands.use_tool("box"),
        _has_image,
    ),
    Action(
        "tool_scribble",
        "Scribble",
        "Drag along the object; Flip + and − makes it a line along what does not belong to it.",  # noqa: RUF001  # a minus sign
        ("F", "Ctrl-F"),
        lambda commands: commands.use_tool("scribble"),
        _has_image,
    ),
    Action(
        "tool_lasso",
        "Lasso",
        "Drag around the object; after Flip + and −, what is drawn around is cut off.",  # noqa: RUF001  # a minus sign
        ("Shift-F",),
        lambda commands: commands.use_tool("lasso"),
        _has_image,
    ),
    Action(
        "tool_brush",
        "Brush",
        "Paint what belongs to the mask: what is painted stays painted, whatever the model says.",
        ("B", "Alt-B"),
        lambda commands: commands.use_tool("brush"),
        _has_plane,
    ),
    Action(
        "tool_eraser",
        "Eraser",
        "Erase what does not belong to the mask: what is erased stays out, whatever the model says.",
        ("Shift-B",),
        lambda commands: commands.use_tool("eraser"),
        _has_plane,
    ),
    Action(
        "toggle_polarity",
        "Flip + and −",  # noqa: RUF001  # a minus sign, not a hyphen
        "Make the next click or stroke the other kind: object or background, brush or eraser.",
        ("X", "Shift-X"),
        lambda commands: commands.toggle_polarity(),
        _has_image,
    ),
    Action(
        "next_tempo",
        "Next tempo",
        "Change how a click becomes an object: careful, with Accept; turbo, at once; batch, many together.",
        ("Y", "Shift-Y"),
        lambda commands: commands.settings.next_tempo(),
        _has_image,
    ),
    Action(
        "toggle_hover",
        "Hover preview",
        "Show the mask under the cursor before you click; only where the plane is encoded already.",
        ("H", "Shift-H"),
        lambda commands: commands.settings.toggle_hover(),
        _has_image,
    ),
    Action(
        "next_candidate",
        "Next candidate",
        "Show the next of the masks that the model offers.",
        ("N",),
        lambda commands: commands.next_candidate(),
        lambda state: len(state.candidates) > 1 or state.asking,
    ),
    Action(
        "accept",
        "Accept",
        "Write the mask into the labels layer as a new object, and start the next one.",
        ("Enter", "Shift-Enter"),
        lambda commands: commands.accept(),
        lambda state: state.can_accept,
    ),
    Action(
        "accept_confident",
        "Accept confident",
        "Write those of the objects that were found of which nine in ten would be accepted; the others stay.",
        ("Ctrl-Enter",),
        lambda commands: commands.everything.accept_confident(),
        lambda state: state.everything.can_accept_confident,
    ),
    Action(
        "make_all",
        "Make all",
        "Make an object of each point and each box that is drawn, all at once; Accept then writes them.",
        ("O", "Shift-O"),
        lambda commands: commands.everything.make(),
        lambda state: state.everything.can_make,
    ),
    Action(
        "clear",
        "Clear",
        "Delete the prompts of this plane and start over.",
        ("Shift-C",),
        lambda commands: commands.clear(),
        lambda state: state.can_clear,
    ),
    Action(
        "clear_all",
        "Clear all",
        "Delete the prompts of all planes and start over.",
        ("Shift-Delete", "Shift-Backspace"),
        lambda commands: commands.clear_all(),
        lambda state: state.can_clear_all,
    ),
    Action(
        "undo",
        "Undo",
        "Take back the last prompt or the last accepted object.",
        ("Ctrl-Z",),
        lambda commands: commands.undo(),
        lambda state: state.can_undo,
    ),
    Action(
        "redo",
        "Redo",
        "Do again what was undone.",
        ("Ctrl-Shift-Z",),
        lambda commands: commands.redo(),
        lambda state: state.can_redo,
    ),
    Action(
        "pick_object",
        "Pick",
        "Click an object of any labels on screen to correct it: clicks change its mask, Accept writes it again.",
        ("E", "Shift-E"),
        lambda commands: commands.objects.use_tool("pick"),
        _has_plane,
    ),
    Action(
        "delete_object",
        "Delete",
        "Delete the picked object, or the one under the cursor, on all of its planes.",
        ("D", "Shift-D"),
        lambda commands: commands.objects.delete(),
        _has_plane,
    ),
    Action(
        "delete_object_here",
        "Delete here",
        "Delete the picked object, or the one under the cursor, on this plane only.",
        ("Alt-D",),
        lambda commands: commands.objects.delete(plane_only=True),
        _has_plane,
    ),
    Action(
        "split_object",
        "Split",
        "Click each part of an object once; Accept then divides it. The largest part keeps the id.",
        ("Shift-S",),
        lambda commands: commands.objects.use_tool("split"),
        _has_plane,
    ),
    Action(
        "merge_objects",
        "Merge",
        "Click two objects or more; Accept then makes them one, with the id of the first.",
        ("Shift-M",),
        lambda commands: commands.objects.use_tool("merge"),
        _has_plane,
    ),
    Action(
        "propagate",
        "Propagate",
        "Carry the object through the stack, both ways from the planes where you showed it.",
        ("G",),
        lambda commands: commands.stack.propagate(),
        lambda state: state.stack.can_propagate,
    ),
    Action(
        "next_weak_plane",
        "Next weak plane",
        "Go to the next plane where the carried object should be looked at; Accept then writes it anew there.",
        ("J",),
        lambda commands: commands.stack.next_weak_plane(),
        lambda state: state.stack.can_jump,
    ),
    Action(
        "copy_prompts",
        "Copy to next",
        "Write this plane, and set its prompts on the next plane or time point, for the same object.",
        ("K",),
        lambda commands: commands.stack.copy_prompts(),
        lambda state: state.stack.can_copy,
    ),
    Action(
        "copy_prompts_back",
        "Copy to previous",
        "Write this plane, and set its prompts on the plane or time point before, for the same object.",
        ("Shift-K",),
        lambda commands: commands.stack.copy_prompts(-1),
        lambda state: state.stack.can_copy,
    ),
    Action(
        "toggle_same_object",
        "Same object",
        "Let Accept write the last object again on this plane, or a new object.",
        ("U",),
        lambda commands: commands.stack.toggle_same_object(),
        lambda state: state.stack.label is not None,
    ),
    *(
        Action(
            f"class_{number}",
            f"Class {number}" if number else "No class",
            "Give the object that is chosen in the table, or else new objects, the class of this number; 0 for none.",
            (f"Alt-{number}",),
            partial(_choose_class, number),
            partial(_has_class, number),
            group="Class 1 to 9, or none",
        )
        for number in (*range(1, 10), 0)
    ),
    Action(
        "mark_checked",
        "Checked",
        "Note that the chosen object, or the one accepted last, was checked; again: that it was not.",
        ("R", "Alt-R"),
        lambda commands: commands.table.review("checked"),
        _has_target,
    ),
    Action(
        "mark_unsure",
        "Unsure",
        "Note that you are unsure of the chosen object, or of the one accepted last; again: that you are not.",
        ("Shift-R",),
        lambda commands: commands.table.review("unsure"),
        _has_target,
    ),
    Action(
        "next_unchecked",
        "Next unchecked",
        "Go to the next object of the table that is neither checked nor unsure.",
        ("Alt-N",),
        lambda commands: commands.table.next_unchecked(),
        _has_target,
    ),
    Action(
        "series_done",
        "Done, next",
        "Save the labels, mark the image as done, and open the next one that is not.",
        ("Ctrl-PageDown",),
        lambda commands: commands.series.done(),
        _has_series_image,
    ),
    Action(
        "series_next",
        "Next image",
        "Save the labels, and open the next image of the series.",
        ("PageDown",),
        lambda commands: commands.series.next(),
        _has_series,
    ),
    Action(
        "series_previous",
        "Previous image",
        "Save the labels, and open the image before in the series.",
        ("PageUp",),
        lambda commands: commands.series.previous(),
        _has_series,
    ),
    Action(
        "series_skip",
        "Skip",
        "Leave this image of the series out, and open the next one.",
        ("Alt-PageDown",),
        lambda commands: commands.series.skip(),
        _has_series_image,
    ),
    Action(
        "teach",
        "Teach",
        "Teach the model in use what is labelled, for as long as the section Teach says, beside your work.",
        ("Shift-T",),
        lambda commands: commands.teach(),
        _can_teach,
    ),
    Action(
        "next_to_annotate",
        "Next to annotate",
        "Go to the image of the series, or the plane of the stack, where proposals are doubtful and that looks new.",
        ("Alt-PageUp",),
        _next_to_annotate,
        _has_next,
    ),
    Action(
        "cancel",
        "Cancel",
        "Stop the work that is under way, leave the picked object as it was, or put the brush down.",
        ("Escape", "Shift-Escape"),
        lambda commands: commands.cancel(),
        lambda state: (
            state.status.cancellable
            or state.objects.tool is not None
            or state.objects.label is not None
            or state.tool in ("brush", "eraser")
        ),
    ),
)

ACTIONS = {action.id: action for action in _TABLE}
"""All commands by id, in the order of the legend."""


@dataclass(frozen=True, slots=True)
class LegendLine:
    """A line of the legend: an action, or several of one group.

    Attributes
    ----------
    keys : tuple of str
        The keys; of a group the first and the last.
    between : str
        What stands between them.
    title, tooltip : str
        Words for it.
    """

    keys: tuple[str, ...]
    between: str
    title: str
    tooltip: str


def legend(actions: Iterable[Action]) -> list[LegendLine]:
    """Describe all actions that have a key, in their order."""
    found = []
    for group, members in groupby((action for action in actions if action.keys), lambda one: one.group or one.id):
        first, *others = members
        if others:
            found.append(LegendLine((first.keys[-1], others[-1].keys[-1]), " … ", group, first.tooltip))
        else:
            found.append(LegendLine(first.keys, " or ", first.title, first.tooltip))
    return found
