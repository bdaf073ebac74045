"""What the person chose: one model that tells of each change, and takes nothing that cannot be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, cast, get_args, overload

from psygnal import SignalGroupDescriptor

from napari_sam.errors import InputError
from napari_sam.inference.request import Region
from napari_sam.inference.shaping import USUAL, MaskShaping
from napari_sam.inference.shaping.levels import Level
from napari_sam.propagation import DEFAULT_STRATEGY, STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

Tempo = Literal["careful", "turbo", "batch"]
"""How a prompt becomes an object: when it is accepted, at once, or many together."""
WritePolicy = Literal["empty", "overwrite", "protect", "overlap"]
"""What accept does with pixels that carry another label."""


@dataclass(frozen=True, slots=True)
class TempoChoice:
    """A tempo that can be chosen.

    Attributes
    ----------
    name : {"careful", "turbo", "batch"}
        The tempo.
    title : str
        Words of its button.
    tooltip : str
        What it does, in one sentence.
    """

    name: Tempo
    title: str
    tooltip: str


TEMPOS = (
    TempoChoice("careful", "Careful", "A click shows a mask, more clicks correct it, and Accept writes it."),
    TempoChoice("turbo", "Turbo", "A click or a box writes its object at once; the next one is the next object."),
    TempoChoice("batch", "Batch", "Each positive point and each box is an object of its own; all are made at once."),
)
"""The tempos, in the order in which the dock shows them and `SessionSettings.next_tempo` goes through them."""


def _tempo(tempo: Any) -> Any:
    if tempo not in (names := [choice.name for choice in TEMPOS]):
        raise InputError(f"There is no tempo {tempo!r}. Choose one of: {', '.join(names)}.")
    return tempo


def _level(level: Any) -> Any:
    if level not in get_args(Level):
        raise InputError(f"There is no level {level!r}. Choose one of: {', '.join(get_args(Level))}.")
    return level


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A way of writing that can be chosen.

    Attributes
    ----------
    name : {"empty", "overwrite", "protect", "overlap"}
        The policy.
    title : str
        Its row in the dock.
    tooltip : str
        What it does with pixels that carry another label, in one sentence.
    """

    name: WritePolicy
    title: str
    tooltip: str


WRITE_POLICIES = (
    PolicyChoice("empty", "Empty pixels only", "Pixels that carry a label already keep it."),
    PolicyChoice("overwrite", "Overwrite", "The new object covers what lies beneath it."),
    PolicyChoice("protect", "Protect ids…", "The objects with these ids are never covered, all others are."),
    PolicyChoice(
        "overlap", "Overlaps to a second layer", "An object that meets others goes to a second layer: both stay whole."
    ),
)
"""What accept does with pixels that carry another label, in the order in which the dock shows it."""
FILLING: tuple[WritePolicy, ...] = ("empty", "overlap")
"""The policies by which no pixel that carries another label is written."""


def _policy(policy: Any) -> Any:
    if policy not in (names := [choice.name for choice in WRITE_POLICIES]):
        raise InputError(f"There is no write policy {policy!r}. Choose one of: {', '.join(names)}.")
    return policy


def _ids(ids: Any) -> tuple[int, ...]:
    found = tuple(sorted({int(label) for label in ids}))
    if found and found[0] < 1:
        raise InputError(f"Ids of objects are 1 and more; got {found[0]}.")
    return found


def _region(region: Any) -> Any:
    if region not in get_args(Region):
        raise InputError(f'The region is "object" or "screen"; got {region!r}.')
    return region


def _strategy(strategy: Any) -> Any:
    if strategy not in STRATEGIES:
        raise InputError(f"There is no strategy {strategy!r}. Choose one of: {', '.join(STRATEGIES)}.")
    return strategy


def _brush_size(size: Any) -> int:
    if not 1 <= int(size) <= MOST_BRUSH:
        raise InputError(f"The brush is 1 to {MOST_BRUSH} pixels wide; got {size!r}.")
    return int(size)


def _shaping(shaping: Any) -> Any:
    if not isinstance(shaping, MaskShaping):
        raise InputError(f"The shaping of masks is a MaskShaping; got {type(shaping).__name__}.")
    return shaping


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "brush_size": _brush_size,
    "hover": bool,
    "level": _level,
    "object_class": str,
    "only_empty": bool,
    "prefetch": bool,
    "protected_ids": _ids,
    "region": _region,
    "shaping": _shaping,
    "strategy": _strategy,
    "tempo": _tempo,
    "write_policy": _policy,
}
"""What each value goes through before it is taken; the model and the device are found out when they are loaded."""

MOST_BRUSH = 10_000
"""Pixels that the brush may be wide."""

KEPT_ELSEWHERE = frozenset({"only_empty"})
"""Settings that are not remembered from one session to the next: they belong to a layer. All others are."""


@dataclass
class SessionSettings:
    """The choices of a session that do not depend on the image.

    Attributes
    ----------
    model : str
        Name of a model in the registry, or path of a checkpoint.
    device : str
        "auto", a torch device, or the address of a Dask scheduler whose workers encode planes.
    region : {"object", "screen"}
        What the model looks at on large planes: the surroundings of the object, or what is visible.
    only_empty : bool
        Whether accept leaves pixels alone that carry a label. It is told of whenever it is set: who sets what it is
        already has chosen it, which is kept with the layers.
    write_policy : {"empty", "overwrite", "protect", "overlap"}
        What accept does with pixels that carry another label: one of `WRITE_POLICIES`. `only_empty` is
        True for those that write empty pixels alone, "empty" and "overlap", and setting it to another value chooses
        "empty" or "overwrite". Runs through stacks, and many objects at once, fill empty pixels where it is "overlap".
    protected_ids : tuple of int
        The objects that are never covered where the policy is "protect".
    prefetch : bool
        Whether planes next to the one on screen are encoded while there is nothing else to do.
    object_class : str
        Class that new objects get; "" for none.
    strategy : str
        How objects are carried through a stack: a name in `napari_sam.propagation.STRATEGIES`.
    tempo : {"careful", "turbo", "batch"}
        How a prompt becomes an object: one of `TEMPOS`.
    level : {"best", "whole", "part", "subpart"}
        Which candidate of an ambiguous click is shown first. Accepting another one than the first changes it.
    hover : bool
        Whether the mask under the cursor is shown before it is clicked.
    brush_size : int
        Width of the brush and the eraser, in pixels of the layer that shows the candidate.
    shaping : MaskShaping
        What becomes of each mask before it is shown and accepted.
    events : psygnal.SignalGroup
        A signal for each of these, which carries the new value and the old one.

    Raises
    ------
    InputError
        When something is set that cannot be chosen; it then stays as it was.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor(
        # psygnal tells of no value that equals the one before.
        equality_operators={"only_empty": lambda _new, _old: False, "write_policy": lambda _new, _old: False}
    )

    model: str = "bundled"
    device: str = "auto"
    region: Region = "object"
    only_empty: bool = True
    write_policy: WritePolicy = "empty"
    protected_ids: tuple[int, ...] = ()
    prefetch: bool = True
    object_class: str = ""
    strategy: str = DEFAULT_STRATEGY
    tempo: Tempo = "careful"
    level: Level = "best"
    hover: bool = False
    brush_size: int = 10
    shaping: MaskShaping = USUAL

    def __setattr__(self, name: str, value: Any) -> None:
        # Checked before it is set: what is refused changes nothing, and nobody is told.
        check = _CHECKS.get(name)
        super().__setattr__(name, value if check is None else check(value))
        # One choice under two names: who knows only the older one is understood, too.
        if name == "only_empty" and self.only_empty != (self.write_policy in FILLING):
            self.write_policy = "empty" if self.only_empty else "overwrite"
        elif name == "write_policy" and self.only_empty != (self.write_policy in FILLING):
            self.only_empty = self.write_policy in FILLING

    def next_tempo(self) -> None:
        """Choose the next tempo, after the last one the first."""
        names = [choice.name for choice in TEMPOS]
        self.tempo = names[(names.index(self.tempo) + 1) % len(names)]

    def toggle_hover(self) -> None:
        """Switch the mask under the cursor on or off."""
        self.hover = not self.hover


class HasSettings(Protocol):
    """What has settings: a session."""

    settings: SessionSettings


class Setting(Generic[T]):
    """An attribute of a session that is one of its settings, of the same name.

    Parameters
    ----------
    doc : str
        What it is.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Setting[T]: ...
    @overload
    def __get__(self, owner: HasSettings, kind: type) -> T: ...
    def __get__(self, owner: HasSettings | None, kind: type) -> Setting[T] | T:
        return self if owner is None else cast("T", getattr(owner.settings, self._name))

    def __set__(self, owner: HasSettings, value: T) -> None:
        setattr(owner.settings, self._name, value)


class ChosenSettings:
    """The settings as attributes of what has them: a base of a session."""

    settings: SessionSettings

    model = Setting[str]("Name of the model, or path of its checkpoint; when it changes, prompts are answered anew.")
    device = Setting[str]('Device to compute on: "auto", a torch device, or the address of another machine.')
    region = Setting[Region](
        'What the model looks at: "object", its surroundings on large planes; "screen", what is visible.'
    )
    prefetch = Setting[bool]("Whether planes next to the one on screen are encoded while there is nothing else to do.")
    only_empty = Setting[bool]("Whether accept leaves pixels alone that carry a label.")
    write_policy = Setting[WritePolicy](
        'What accept does with pixels that carry a label: "empty", "overwrite", "protect" or "overlap".'
    )
    protected_ids = Setting[tuple[int, ...]]('Objects that are never covered where the policy is "protect".')
    tempo = Setting[Tempo](
        'How a prompt becomes an object: "careful", by accept; "turbo", at once; "batch", many together.'
    )
    level = Setting[Level]('Which candidate of an ambiguous click comes first: "best", "whole", "part" or "subpart".')
    hover = Setting[bool]("Whether the mask under the cursor is shown before it is clicked.")
