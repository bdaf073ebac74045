"""What a session tells its panels: one frozen snapshot, replaced as a whole.

Panels draw a `SessionState` and nothing else; they never look at layers or tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from napari_sam.automatic.proposals import ProposalFilter
from napari_sam.inference.shaping import MaskChange, MaskShaping

if TYPE_CHECKING:
    from napari_sam.datasets.image_series import ImageStatus
    from napari_sam.inference.request import Candidate
    from napari_sam.inference.shaping.levels import Level
    from napari_sam.session.settings import Tempo, WritePolicy

StatusKind = Literal["idle", "working", "attention", "failed"]
Tool = Literal["positive", "negative", "box", "scribble", "lasso", "brush", "eraser"]
ObjectTool = Literal["pick", "split", "merge"]

Review = Literal["", "checked", "unsure"]
"""What a person says of an object; "" for nothing yet."""


@dataclass(frozen=True, slots=True)
class Status:
    """The line that says what is going on.

    Attributes
    ----------
    kind : {"idle", "working", "attention", "failed"}
        "attention" waits for the person; "failed" says why and what to do.
    text : str
        One sentence, in plain words.
    fraction : float or None
        Share of the work done, 0 to 1; None when there is no work or its length is not known.
    cancellable : bool
        Whether `Session.cancel` stops the work.
    """

    kind: StatusKind = "idle"
    text: str = ""
    fraction: float | None = None
    cancellable: bool = False


@dataclass(frozen=True, slots=True)
class StackAxis:
    """An axis that an object can be carried along.

    Attributes
    ----------
    axis : int
        The axis of the image's data.
    name : str
        As the viewer's slider is labelled.
    size : int
        Planes along it.
    """

    axis: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class StripPlane:
    """A plane that carries the current object.

    Attributes
    ----------
    place : int
        Its index along the axis.
    score : float
        How far the mask can be trusted, 0 to 1.
    weak : bool
        Whether it should be looked at.
    annotated : bool
        Whether a person annotated it, rather than a run.
    """

    place: int
    score: float
    weak: bool
    annotated: bool


@dataclass(frozen=True, slots=True)
class StackState:
    """Everything that the Stack section shows.

    Attributes
    ----------
    axes : tuple of StackAxis
        Axes to choose from; empty where there is no stack.
    axis : StackAxis or None
        The one that is chosen.
    place : int
        Index of the plane on screen along it.
    start, stop : int
        The range to go through: the first plane, and one more than the last.
    strategy : str
        How objects are carried: a name in `napari_sam.propagation.STRATEGIES`.
    label : int or None
        Id of the current object; None when there is none.
    planes : tuple of StripPlane
        The planes that carry it, in order.
    marks : tuple of int
        Planes with a stop mark, in order.
    shown : tuple of int
        Planes on which prompts say where an object is, in order: the next run starts from all of them.
    joining : str
        Words for them; "" where it is only the plane on screen.
    running : bool
        Whether a run goes on.
    same_object : bool
        Whether accept writes the current object again, instead of a new one.
    text : str
        What there is to say; "" when nothing.
    can_propagate, can_copy, can_jump : bool
        Which commands would do something.
    """

    axes: tuple[StackAxis, ...] = ()
    axis: StackAxis | None = None
    place: int = 0
    start: int = 0
    stop: int = 0
    strategy: str = ""
    label: int | None = None
    planes: tuple[StripPlane, ...] = ()
    marks: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    joining: str = ""
    running: bool = False
    same_object: bool = False
    text: str = ""
    can_propagate: bool = False
    can_copy: bool = False
    can_jump: bool = False


@dataclass(frozen=True, slots=True)
class EverythingState:
    """Everything that the Everything section shows.

    Attributes
    ----------
    axes : tuple of StackAxis
        Axes along which there is a stack to look through; empty where there is none.
    time_axes : tuple of int
        Those of them along which time goes by, by their `StackAxis.axis`.
    running : bool
        Whether objects are being found.
    drawn : int
        How many objects the points and boxes stand for that are drawn on the plane on screen.
    prompted : bool
        Whether those that were found were prompted, each by itself.
    refines : bool
        Whether those that were found take the place of rough ones.
    found : int or None
        Objects that were found; None before that.
    shown : int
        Those that the filter leaves, or that were kept by hand; on all planes.
    chosen : ProposalFilter
        The filter.
    suggested : ProposalFilter
        What the filter was when the objects were found.
    largest : int
        Area of the largest object that was found, data pixels.
    intensities : (float, float)
        Least and largest mean intensity of the objects that were found.
    ranked_by : str
        What they were ranked by, words or examples; "" when they were not.
    confident : int
        Those of the plane on screen that are shown and so good that it can be promised that they would be accepted.
    stack : bool
        Whether they are those of a stack.
    here : bool
        Whether the plane on screen is one on which they were looked for, and they are not being written.
    picking : bool
        Whether a click on the image keeps or drops an object.
    text : str
        What there is to say; "" when nothing.
    can_find, can_make, can_accept, can_accept_confident : bool
        Which commands would do something; `can_make`: in the tempo "batch", with something drawn.
    """

    axes: tuple[StackAxis, ...] = ()
    time_axes: tuple[int, ...] = ()
    running: bool = False
    drawn: int = 0
    prompted: bool = False
    refines: bool = False
    found: int | None = None
    shown: int = 0
    chosen: ProposalFilter = field(default_factory=ProposalFilter)
    suggested: ProposalFilter = field(default_factory=ProposalFilter)
    largest: int = 0
    intensities: tuple[float, float] = (0.0, 0.0)
    ranked_by: str = ""
    confident: int = 0
    stack: bool = False
    here: bool = False
    picking: bool = False
    text: str = ""
    can_find: bool = False
    can_make: bool = False
    can_accept: bool = False
    can_accept_confident: bool = False


@dataclass(frozen=True, slots=True)
class ObjectsState:
    """Everything that panels show of objects that exist, and are changed.

    Attributes
    ----------
    tool : {"pick", "split", "merge"} or None
        What a click on an object does now; None when it is something else.
    label : int or None
        Id of the object that is corrected; None when there is none.
    hint : str
        What the person can do next; "" when there is nothing to say.
    clicks : int
        Clicks that the tool has collected.
    can_pick : bool
        Whether there is a plane with objects to choose from.
    can_apply : bool
        Whether accept would do what the tool has collected clicks for.
    """

    tool: ObjectTool | None = None
    label: int | None = None
    hint: str = ""
    clicks: int = 0
    can_pick: bool = False
    can_apply: bool = False


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """An offer to restore objects.

    Attributes
    ----------
    offer : str
        What can be restored, such as "12 objects of cells.tif, yesterday 17:04."; "" when there is nothing.
    running : bool
        Whether it is being restored.
    """

    offer: str = ""
    running: bool = False


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A class of objects.

    Attributes
    ----------
    name : str
        Its name.
    color : str
        "#rrggbb".
    """

    name: str
    color: str


@dataclass(frozen=True, slots=True)
class TableState:
    """Everything that the Objects section shows; the rows of the table are in `Session.table`.

    Attributes
    ----------
    classes : tuple of ObjectClass
        The classes of the target, in the order of their keys.
    object_class : str
        The one that new objects get; "" for none.
    has_target : bool
        Whether there is a layer that objects are in.
    picked : int or None
        Id of the object that the person chose.
    revision : int
        Another number whenever rows, or their order, are others.
    count : int or None
        Objects in the target; None while they are not counted.
    shown : int
        Those that the filter leaves.
    sort : (str, bool)
        Id of the column that the rows are sorted by, and whether the largest comes first.
    filter : str
        What the person typed.
    text : str
        What there is to say; "" when nothing.
    by_class : bool
        Whether the target has the colours of classes.
    """

    classes: tuple[ObjectClass, ...] = ()
    object_class: str = ""
    has_target: bool = False
    picked: int | None = None
    revision: int = 0
    count: int | None = None
    shown: int = 0
    sort: tuple[str, bool] = ("id", False)
    filter: str = ""
    text: str = ""
    by_class: bool = False


@dataclass(frozen=True, slots=True)
class SeriesState:
    """Everything that the Images section shows.

    Attributes
    ----------
    images : tuple of (str, str)
        Name and `napari_sam.datasets.image_series.ImageStatus` of each; empty where there is no series.
    index : int or None
        The one on screen.
    folder : str
        Where the labels and the progress file are.
    text : str
        Words for how far the series is.
    busy : bool
        Whether an image is being saved or opened.
    unsaved : bool
        Whether there are labels that may not be in their file yet.
    """

    images: tuple[tuple[str, ImageStatus], ...] = ()
    index: int | None = None
    folder: str = ""
    text: str = ""
    busy: bool = False
    unsaved: bool = False


@dataclass(frozen=True, slots=True)
class SessionState:
    """Everything that the panels show.

    Attributes
    ----------
    status : Status
        What is going on.
    hint : str
        What the person can do next; "" when there is nothing to say.
    model : str
        Registry name or path of the model in use.
    device : str
        Words for the device in use, such as "CPU (2 threads)"; "" until the model is loaded.
    channels : tuple of str
        Names of the images that the model sees together, lowest first; none where it sees one alone.
    tool : {"positive", "negative", "box", "scribble", "lasso", "brush", "eraser"} or None
        What a click on the image does now; None when it is napari's own business.
    positive : bool
        Whether the next click or stroke says what belongs to the object, rather than what does not.
    candidates : tuple of Candidate
        Best first; empty when there is no preview.
    selected : int
        Index of the candidate in the preview; -1 when there is none.
    next_id : int or None
        Label that accept would write; None when there is no image.
    only_empty : bool
        Whether accept leaves pixels that carry a label alone.
    tempo : {"careful", "turbo", "batch"}
        How a prompt becomes an object.
    level : {"best", "whole", "part", "subpart"}
        Which candidate of an ambiguous click is shown first.
    hover : bool
        Whether the mask under the cursor is shown before it is clicked.
    write_policy : {"empty", "overwrite", "protect", "overlap"}
        What accept does with pixels that carry another label.
    protected_ids : tuple of int
        The objects that are never covered where the policy is "protect".
    asking : bool
        Whether the answer to the prompts of this plane is under way; accept and the choice of a candidate wait for it.
    waiting : int
        Accepted objects that are written as soon as their answers are there.
    can_accept, can_clear, can_clear_all, can_undo, can_redo : bool
        Which commands would do something.
    shaping : MaskShaping
        What becomes of each mask before it is shown and accepted.
    shaped : MaskChange or None
        How far the candidate in the preview was changed by that; None when there is none.
    stack : StackState
        What the Stack section shows.
    everything : EverythingState
        What the Everything section shows.
    series : SeriesState
        What the Images section shows.
    objects : ObjectsState
        Which object that exists is changed, and how.
    recovery : RecoveryState
        What of the journal can be restored.
    table : TableState
        What the Objects section shows.
    """

    status: Status = field(default_factory=Status)
    hint: str = ""
    model: str = "bundled"
    device: str = ""
    channels: tuple[str, ...] = ()
    tool: Tool | None = None
    positive: bool = True
    candidates: tuple[Candidate, ...] = ()
    selected: int = -1
    next_id: int | None = None
    only_empty: bool = True
    write_policy: WritePolicy = "empty"
    protected_ids: tuple[int, ...] = ()
    tempo: Tempo = "careful"
    level: Level = "best"
    hover: bool = False
    asking: bool = False
    waiting: int = 0
    can_accept: bool = False
    can_clear: bool = False
    can_clear_all: bool = False
    can_undo: bool = False
    can_redo: bool = False
    shaping: MaskShaping = field(default_factory=MaskShaping)
    shaped: MaskChange | None = None
    stack: StackState = field(default_factory=StackState)
    everything: EverythingState = field(default_factory=EverythingState)
    series: SeriesState = field(default_factory=SeriesState)
    objects: ObjectsState = field(default_factory=ObjectsState)
    recovery: RecoveryState = field(default_factory=RecoveryState)
    table: TableState = field(default_factory=TableState)
