"""Whether what was learnt is kept: only what is better on images that were not learnt from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.training.finetune.measuring import WORDS, prompted_score

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_GAIN = 0.005
"""Of the mean over clicks and box: less is chance."""

LEAST_FOUND = 0.02
"""Of AP@50, where prompts are answered as before."""

LEAST_OVER_CHANCE = 0.06
"""By which a mean over clicks and box is to be above that with labels moved to other places of the same images: a model
that has learnt to answer with discs and filled boxes, whatever is seen, is as good there."""

MOST_LOSS = 0.02
"""By which a mean over clicks and box may fall on the sample images before less of the adapter is taken."""

_OTHER_IMAGES = "images that it has not seen"
_SAME_IMAGE = "a part of the image that it has not learnt from, which says little of other images"


@dataclass(frozen=True, slots=True)
class TeachingVerdict:
    """What is to become of a taught model.

    Attributes
    ----------
    better : bool
        Whether it is better on the person's own held-out images.
    words : str
        Why, in a sentence with numbers.
    """

    better: bool
    words: str


def judge(
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    elsewhere: float | None = None,
    same_image: bool = False,
) -> TeachingVerdict:
    """Compare what a model was and what it is, on the same images.

    Parameters
    ----------
    before, after : mapping of str to float
        `napari_sam.training.finetune.measuring.Measured.numbers`.
    elsewhere : float, optional
        What the taught model has, as a mean over clicks and box, where the labels were moved to other places.
    same_image : bool
        Whether what was held out are parts of the images that were learnt from.
    """
    if not after.get("objects"):
        return TeachingVerdict(False, "Nothing was held back to measure by: whether it is better is not known.")
    was, now = prompted_score(before), prompted_score(after)
    gain = 0.0 if math.isnan(was) or math.isnan(now) else now - was
    found = after.get("AP@50", 0.0) - before.get("AP@50", 0.0)
    words = f"mean IoU of clicks and boxes {_change(was, now)}" if not math.isnan(was) else ""
    if "AP@50" in before and "AP@50" in after:
        words += f"{'; ' if words else ''}AP@50 of everything {_change(before['AP@50'], after['AP@50'])}"
    better = gain >= LEAST_GAIN and found >= -LEAST_FOUND
    # Prompts answered as well as before, and more found by itself.
    better = better or (found >= LEAST_FOUND and gain >= -LEAST_GAIN)
    if WORDS in before and WORDS in after:
        words += f"{'; ' if words else ''}told what it is {_change(before[WORDS], after[WORDS])}"
        told = after[WORDS] - before[WORDS]
        better = better or (told >= LEAST_FOUND and found >= -LEAST_FOUND and gain >= -LEAST_GAIN)
    # What finds objects by itself has seen them.
    blind = elsewhere is not None and now - elsewhere < LEAST_OVER_CHANCE and after.get("AP@50", 0.0) < LEAST_FOUND
    if better and blind:
        return TeachingVerdict(
            False,
            "Not better: it answers clicks and boxes as well where labels are moved to other places "
            f"({elsewhere:.3f}) as where they are ({now:.3f}), so that they do not tell what is seen. Look whether "
            "labels and images belong together.",
        )
    where = _SAME_IMAGE if same_image else _OTHER_IMAGES
    return TeachingVerdict(better, f"{'Better' if better else 'Not better'} on {where}: {words}.")


def loss(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Tell how much a model has forgotten of the sample images: the fall of its mean over clicks and box."""
    fall = prompted_score(before) - prompted_score(after)
    return 0.0 if math.isnan(fall) else max(0.0, fall)


def _change(was: float, now: float) -> str:
    return f"{was:.3f} -> {now:.3f}"
