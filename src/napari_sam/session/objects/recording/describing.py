"""Says of an object what the journal keeps of it, in values that JSON takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam.journal import encode_mask
from napari_sam.masks import BoxedMask
from napari_sam.session.labels.edit import spread_values
from napari_sam.session.viewing.feature_table import CLASS, read_column

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_sam.inference.request import Candidate, PlaneAnswer
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.prompts import PromptSet
    from napari_sam.session.labels.edit import LabelEdit


def account(image: Image, view: PlaneIndex, written: LabelEdit, prompts: PromptSet, digest: str = "") -> dict[str, Any]:
    """Say where an accepted object, or its part on one plane, is, and which prompts it came of."""
    # What the labels carry: where others were in the way, that is less than the model's mask.
    cut = BoxedMask.of(written.drawn.array())
    origin = int(written.origin[0]) + cut.origin[0], int(written.origin[1]) + cut.origin[1]
    (kind,) = read_column(written.layer, CLASS, [written.label])
    mask = BoxedMask(origin, cut.mask, view.shape)
    said = describe(image, view, written.layer, written.label, mask, prompts, digest=digest, kind=kind)
    # Mostly the object is all that changed.
    return said if written.drawn is written.change.pixels else said | {"changes": describe_changes(view, written)}


def describe_changes(view: PlaneIndex, written: LabelEdit) -> list[dict[str, Any]]:
    """Say which pixels of a plane carry which id since an edit, 0 for none: of those that changed."""
    pixels, (top, left) = written.change.pixels.array(), written.origin
    after = spread_values(pixels, written.change.after.array())
    changes = []
    for label in np.unique(after[pixels]).tolist():
        cut = BoxedMask.of(pixels & (after == label))
        origin = top + cut.origin[0], left + cut.origin[1]
        changes.append({"label": int(label), "mask": encode_mask(cut.mask, origin, view.shape)})
    return changes


def describe_question(answer: PlaneAnswer, choice: int) -> dict[str, Any]:
    """Say what was asked of the model, so that it can be asked again: see `napari_sam.journal.replaying`."""
    request = answer.request
    source = request.source
    limits = source.contrast_limits
    asked: dict[str, Any] = {
        "weights": answer.weights,
        "contrast_limits": None if limits is None else [float(limit) for limit in limits],
        "gamma": float(source.gamma),
        "spacing": [float(step) for step in source.view.spacing],
        "shaping": request.shaping.to_dict(),
        "rounds": [
            {
                "prompts": json.loads(one.prompts.to_json()),
                "choice": one.choice,
                "region": one.region,
                "visible": one.visible,
                "correction": one.correction,
            }
            for one in answer.rounds(choice)
        ],
    }
    if (start := request.start) is not None:
        asked["start"] = {
            "label": start.label,
            "mask": encode_mask(start.mask.mask, start.mask.origin, start.mask.plane),
            "prompts": json.loads(start.prompts.to_json()),
        }
    return asked


def describe_kept(candidate: Candidate, view: PlaneIndex, written: LabelEdit) -> dict[str, Any]:
    """Say which pixels of a candidate other labels kept; nothing where it has all of them."""
    # The edit's box holds that of the candidate, and where an older mask was emptied, more than that.
    top, left = np.subtract(candidate.origin, written.origin)
    height, width = candidate.mask.shape
    kept = candidate.mask & ~written.drawn.array()[top : top + height, left : left + width]
    if not kept.any():
        return {}
    cut = BoxedMask.of(kept)
    origin = candidate.origin[0] + cut.origin[0], candidate.origin[1] + cut.origin[1]
    return {"kept": encode_mask(cut.mask, origin, view.shape)}


def describe(
    image: Image,
    view: PlaneIndex,
    target: Labels,
    label: int,
    carried: BoxedMask,
    prompts: PromptSet,
    *,
    digest: str = "",
    kind: str = "",
) -> dict[str, Any]:
    """Describe an object of a plane as the journal keeps it: `carried` are the pixels that carry its id."""
    (top, left), (height, width) = carried.origin, carried.mask.shape
    return describe_layer(image, target) | {
        **({"class": kind} if kind else {}),
        "calibration": {
            "axes": list(image.axis_labels),
            "scale": [float(step) for step in image.scale],
            "units": [str(unit) for unit in image.units],
        },
        "plane": {"axes": view.axes, "index": view.index, "digest": digest},
        "prompts": json.loads(prompts.to_json()),
        "label": label,
        "box": [top, left, top + height, left + width],
        "mask": encode_mask(carried.mask, (top, left), view.shape),
    }


def describe_layer(image: Image, target: Labels) -> dict[str, Any]:
    """Say which labels layer of which image a record is about."""
    return {
        "image": image.name,
        "identity": {
            "source": str(image.source.path or ""),
            "image": str(image.unique_id),
            "layer": str(target.unique_id),
        },
        "shape": [int(n) for n in image.data.shape],
        "target": target.name,
    }


def describe_treatment(answer: PlaneAnswer) -> dict[str, Any]:
    """Name the images that the model saw together, where it saw several, and what became of its mask, if anything."""
    said: dict[str, Any] = {}
    if answer.request.source.channels:
        said["channels"] = list(answer.request.source.channels)
    if not answer.request.shaping.changes_nothing:
        said["shaping"] = answer.request.shaping.to_dict()
    return said
