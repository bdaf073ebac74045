"""Fits the network that puts the candidates for a click in order, when the rest of the bundled model is learnt.

Training shows an object at one scale; in use it is looked at on all of them, and the decoder's estimates are compared
that never met. So objects of training images are clicked on as in use, and what the candidates are worth is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from napari_sam.evaluation.clicks import LEAST_AREA
from napari_sam.evaluation.dataset import spread
from napari_sam.evaluation.simulated_user import next_click
from napari_sam.model.compact.candidate_ranker import CandidateRanker, describe
from napari_sam.model.compact.canvas import OUTSIDE
from napari_sam.model.compact.model import CompactSam
from napari_sam.model.compact.scales import paste
from napari_sam.predictor import Predictor
from napari_sam.progress import no_progress
from napari_sam.prompt_tensors import prompt_tensors
from napari_sam.prompts import PointPrompt, PromptSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sam.evaluation.dataset import LabelledImage
    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features
    from napari_sam.progress import Progress
    from napari_sam.training.bundled.dataset import BundledData

_NUCLEI, _KINDS = 100, 250  # images
_OBJECTS = 5  # of each
_WIDTH = 16
_EPOCHS, _BATCH, _RATE, _DECAY = 12, 128, 3e-3, 0.05
_ORDER, _SHARPNESS = 0.1, 0.1  # weight of the order in the loss; IoU that makes a clear difference
_FEWEST = 200  # clicks: of fewer nothing can be learnt


@dataclass(frozen=True, slots=True)
class ClickedObject:
    """What was seen when an object was clicked on.

    Attributes
    ----------
    features : Tensor, shape (n, FEATURES)
        Of the candidates; see `napari_sam.model.compact.candidate_ranker.describe`.
    ious : Tensor, shape (n,)
        What each is worth.
    """

    features: Tensor
    ious: Tensor


def ranking_images(data: BundledData) -> list[LabelledImage]:
    """Choose training images, evenly over their kinds."""
    return [*spread(data.nuclei, _NUCLEI), *spread(data.kinds, _KINDS)]


def fit_ranker(
    model: CompactSam, images: Sequence[LabelledImage], *, seed: int = 0, progress: Progress = no_progress
) -> CompactSam:
    """Click on objects, and learn which candidate is the best.

    Parameters
    ----------
    model : CompactSam
        Without a ranker.
    images : sequence of LabelledImage
        That it may have been trained on.
    seed : int
    progress : Progress
        Called after each image; may raise `Cancelled`.

    Returns
    -------
    CompactSam
        With a ranker, rounded to half precision; `model` itself where there is too little to learn from.
    """
    clicked = list(click_objects(model, images, seed=seed, progress=progress))
    if len(clicked) < _FEWEST:
        return model
    ranked = CompactSam(replace(model.config, ranker=_WIDTH))
    ranker = learn_order(clicked, seed=seed)
    state = model.state_dict() | {f"ranker.{name}": values for name, values in ranker.state_dict().items()}
    ranked.load_state_dict({name: values.half().float() for name, values in state.items()})
    return ranked.to(model.device).eval().requires_grad_(requires_grad=False)


def click_objects(
    model: CompactSam, images: Sequence[LabelledImage], *, seed: int = 0, progress: Progress = no_progress
) -> Iterator[ClickedObject]:
    """Click on some objects of each image: once where each is deepest, as one should, and once anywhere in it."""
    predictor, rng = Predictor(model, "unsaved", fall_back=False), np.random.default_rng(seed)
    for done, item in enumerate(images, 1):
        values, areas = np.unique(item.labels, return_counts=True)
        chosen = rng.permutation(values[(values != 0) & (areas >= LEAST_AREA)])[:_OBJECTS]
        embedding = predictor.embed(item.plane) if len(chosen) else None
        for label in chosen:
            truth = item.labels == label
            clicks = [next_click(truth, np.zeros_like(truth)), _anywhere(truth, rng)]
            if embedding is not None:
                yield from predictor.compute(embedding, partial(_click, clicks=clicks, truth=truth))
        progress(done / len(images))


def _anywhere(truth: NDArray[np.bool_], rng: np.random.Generator) -> PointPrompt:
    """Click into an object, more often where it is deep."""
    depth = ndimage.distance_transform_edt(truth)
    place = rng.choice(truth.size, p=depth.ravel() / depth.sum())
    y, x = np.unravel_index(place, truth.shape)
    return PointPrompt((float(y), float(x)))


def _click(
    model: CompactSam, features: Features, frame: Frame, *, clicks: Sequence[PointPrompt], truth: NDArray[np.bool_]
) -> list[ClickedObject]:
    grid = model.logits_shape(frame)
    wanted = torch.from_numpy(np.asarray(frame.onto_grid(truth, grid)) > 0.5)
    found = []
    for click in clicks:
        prompts = prompt_tensors([PromptSet((click,))], frame, model.device)
        (candidates,) = model.candidates(features, prompts, multimask=True)
        ious = []
        for candidate in candidates:
            paste(candidate, logits := torch.full(grid, OUTSIDE, device=model.device))
            mask = logits.cpu() > 0
            ious.append(float((mask & wanted).sum() / (mask | wanted).sum().clamp(min=1)))
        found.append(ClickedObject(describe(candidates).cpu(), torch.tensor(ious)))
    return found


def learn_order(clicked: Sequence[ClickedObject], *, seed: int = 0) -> CandidateRanker:
    """Fit a ranker: each candidate's IoU, and that the best of those for one click comes first."""
    features, ious, there = _padded(clicked)
    ranker = CandidateRanker(_WIDTH)
    rows = features[there]
    ranker.mean.copy_(rows.mean(0))
    ranker.deviation.copy_(rows.std(0) + 1e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learnt = {name: _start(name, values) for name, values in ranker.named_buffers() if name[-1].isdigit()}
        optimizer = torch.optim.AdamW(list(learnt.values()), _RATE, weight_decay=_DECAY)
        steps = max(1, _EPOCHS * len(clicked) // _BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            some = torch.randint(len(clicked), (_BATCH,))
            predicted = torch.func.functional_call(ranker, learnt, (features[some], there[some]))
            loss = _loss(predicted, ious[some], there[some])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    ranker.load_state_dict(ranker.state_dict() | {name: values.detach() for name, values in learnt.items()})
    return ranker


def _padded(clicked: Sequence[ClickedObject]) -> tuple[Tensor, Tensor, Tensor]:
    """Lay clicks side by side: features (B, n, FEATURES), IoU (B, n), and which candidates there are, (B, n) bool."""
    pad = partial(nn.utils.rnn.pad_sequence, batch_first=True)
    there = pad([torch.ones(len(one.ious), dtype=torch.bool) for one in clicked])
    return pad([one.features for one in clicked]), pad([one.ious for one in clicked]), there


def _start(name: str, values: Tensor) -> Tensor:
    """Begin with small random weights, and biases of 0."""
    start = torch.zeros_like(values)
    if name.startswith("weight"):
        nn.init.kaiming_uniform_(start, a=5**0.5)
    return start.requires_grad_()


def _loss(predicted: Tensor, ious: Tensor, there: Tensor) -> Tensor:
    error = ((predicted - ious) ** 2)[there].mean()
    wanted = (ious / _SHARPNESS).masked_fill(~there, -torch.inf).softmax(1)
    order = (predicted / _SHARPNESS).masked_fill(~there, -1e9).log_softmax(1)
    return error - _ORDER * (wanted * order).sum(1).mean()
