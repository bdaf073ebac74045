"""Which candidate of an ambiguous click is shown first: the best, or the one of the level that the person wants.

A click on a nucleus means the nucleus or the cell, and means the same at the next one: who chose the part once is shown
the part from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.inference.shaping.levels import are_alike, levels_of
from napari_sam.masks import BoxedMask

if TYPE_CHECKING:
    from napari_sam.inference.request import PlaneAnswer
    from napari_sam.inference.shaping.levels import Level
    from napari_sam.session.settings import SessionSettings


class LevelMemory:
    """Remembers the level in the settings of a session.

    Parameters
    ----------
    settings : SessionSettings
        Where it is.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self.is_learning = False
        """Whether the level that is being set follows from an accept, and was not chosen by its name."""

    def learn(self, answer: PlaneAnswer, index: int) -> None:
        """Remember the level of a candidate that the person picked and accepted; the best one's forgets it."""
        if (level := level_of(answer, index)) is None:
            return
        self.is_learning = True
        try:
            self._settings.level = level
        finally:
            self.is_learning = False


def first_shown(answer: PlaneAnswer, level: Level) -> int:
    """Choose the candidate to show first; the best one where there is none of the level.

    Parameters
    ----------
    answer : PlaneAnswer
        The answer.
    level : {"best", "whole", "part", "subpart"}
        The level that is wanted.

    Returns
    -------
    int
        Index of the candidate, 0 for the best.
    """
    return _levels(answer).get(level, 0)


def skips_to(answer: PlaneAnswer | None, index: int, level: Level) -> int:
    """Count how many candidates lie between the one that is shown first and a chosen one; 0 where there are none."""
    if answer is None or index < 0:
        return 0
    return (index - first_shown(answer, level)) % len(answer.candidates)


def level_of(answer: PlaneAnswer, index: int) -> Level | None:
    """Name the level of a candidate: "best" for the best one and those like it; None where it has none.

    Parameters
    ----------
    answer : PlaneAnswer
        The answer.
    index : int
        Which candidate.
    """
    levels, masks = _levels(answer), _masks(answer)
    if not levels or not 0 <= index < len(masks):
        return None
    if are_alike(masks[index], masks[0]):
        return "best"
    return next((level for level, at in levels.items() if are_alike(masks[index], masks[at])), None)


def _levels(answer: PlaneAnswer) -> dict[Level, int]:
    """Find which candidate is of which level; none where the prompts leave no choice of sizes."""
    request = answer.request
    if not request.prompts.ambiguous or request.previous is not None:
        return {}
    return levels_of(_masks(answer))


def _masks(answer: PlaneAnswer) -> list[BoxedMask]:
    plane = answer.request.source.view.shape
    if not answer.request.shaping.changes_nothing or answer.request.prompts.paint is not None:
        # Levels are the model's: shaping and paint may make two of them alike, and the chosen one is to stay that.
        return [found.crop.boxed(found.mask, plane) for found in answer.found]
    return [BoxedMask(candidate.origin, candidate.mask, plane) for candidate in answer.candidates]
