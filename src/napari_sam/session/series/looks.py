"""Looks at images of a series on the inference thread, and chooses the one that is best annotated next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sam.automatic.calibration import PlaneEvidence, rank_planes
from napari_sam.errors import InputError
from napari_sam.session.everything.deciding import messages as deciding_messages
from napari_sam.session.everything.deciding.lookup import learn
from napari_sam.session.everything.deciding.plane_survey import still_unknown
from napari_sam.session.everything.search import MOST_PIXELS, SearchRequest, search
from napari_sam.session.series import messages as series_messages
from napari_sam.session.series.ahead import first_plane
from napari_sam.session.series.files import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sam.datasets.image_series import SeriesImage
    from napari_sam.inference.request import EngineFactory, EngineLike
    from napari_sam.journal.notes.decisions import ImageIdentity
    from napari_sam.planes.source import PlaneIndex
    from napari_sam.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class ImageLook:
    """What was seen of an image.

    Attributes
    ----------
    features : numpy.ndarray, shape (n, k), float64, or None
        Of the good proposals, what a calibration judges them by; None where nothing was found, or it is too large.
    descriptor : numpy.ndarray, shape (d,), float64, or None
        What the image looks like.
    """

    features: NDArray[np.float64] | None = None
    descriptor: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LookOrder:
    """What there is to choose from.

    Attributes
    ----------
    images : tuple of SeriesImage
        The series.
    current : int or None
        Which of them is on screen.
    model, device : str
        What looks at them.
    view : PlaneIndex
        The plane on screen; of others, the one of the same index is looked at.
    journal : Path
        Where decisions are; it may not be there.
    identity : ImageIdentity
        The image on screen.
    promise : float
        Share of the confident objects that would be accepted.
    looks : dict
        What was seen so far, by file, its time and model; belongs to the inference thread.
    """

    images: tuple[SeriesImage, ...]
    current: int | None
    model: str
    device: str
    view: PlaneIndex
    journal: Path
    identity: ImageIdentity
    promise: float
    looks: dict[tuple[Path, int, str], ImageLook]


@dataclass(frozen=True, slots=True)
class NextImageChoice:
    """An image to annotate: its place in the series, and words for why."""

    place: int
    words: str


def choose_next_image(
    order: LookOrder, engine: EngineFactory, progress: Progress
) -> Iterator[NextImageChoice | str | None]:
    """Look at images that were not looked at yet, and compare all that were.

    Yields
    ------
    NextImageChoice, str or None
        None after each tile, so that somebody else can be answered in between; at last the choice, or why none.
    """
    progress(0.0)
    places = [place for place in range(len(order.images)) if place != order.current]
    status = [image.status for image in order.images]
    # Where somebody has begun is looked at when there is nothing else.
    choices = [place for place in places if status[place] == "untouched"]
    choices = choices or [place for place in places if status[place] == "started"]
    if not choices:
        yield series_messages.NONE_LEFT
        return
    annotated = [place for place, said in enumerate(status) if said in ("started", "done") and place not in choices]
    if order.current is not None and order.current not in annotated:
        annotated.append(order.current)
    new = still_unknown(choices, annotated, lambda place: _key(order, place) in order.looks)
    loaded = engine(order.model, order.device, progress) if new else None
    for number, place in enumerate(new):

        def within(share: float, number: int = number) -> None:
            progress((number + share) / len(new))

        within(0.0)
        if loaded is not None:
            yield from _look(order, place, loaded, within)
    yield _choose(order, choices, annotated)


def _look(order: LookOrder, place: int, engine: EngineLike, progress: Progress) -> Iterator[None]:
    """Look at one image, and note what is seen."""
    key, look = _key(order, place), ImageLook()
    try:
        source = first_plane(open_image(order.images[place], progress), order.view)
    except InputError:
        order.looks[key] = look  # whoever opens it is told what is wrong with it
        return
    height, width = source.view.shape
    if height * width <= MOST_PIXELS:
        request = SearchRequest(order.model, order.device, source, (0, 0), (height, width))
        for result in search(engine, request, progress, describe=True):
            if result is None:
                yield None
            elif result.features is not None and result.descriptors is not None:
                good = result.table.wanted(result.chosen)
                look = ImageLook(result.features[good], result.descriptors.background)
    order.looks[key] = look


def _choose(order: LookOrder, choices: Sequence[int], annotated: Sequence[int]) -> NextImageChoice:
    """Rank the images that were looked at."""
    looks = {place: order.looks.get(_key(order, place)) for place in (*choices, *annotated)}
    _known, outcome = learn(order.journal, order.identity, order.model, "auto", order.promise)
    evidence, doubtful = [], {}
    for place in choices:
        look = looks[place]
        if look is None or look.features is None or look.descriptor is None:
            continue
        doubt = None
        if outcome.calibration is not None and len(look.features):
            doubtful[place] = int(np.count_nonzero(~outcome.calibration.confident(look.features)))
            doubt = doubtful[place] / len(look.features)
        evidence.append(PlaneEvidence(place, look.descriptor, doubt))
    seen = [one.descriptor for place in annotated if (one := looks[place]) is not None and one.descriptor is not None]
    if not evidence:
        name = order.images[choices[0]].name
        return NextImageChoice(choices[0], series_messages.nothing_found(name))
    best = rank_planes(evidence, seen)[0]
    look = looks[best.place]
    count = 0 if look is None or look.features is None else len(look.features)
    why = deciding_messages.why_next(order.images[best.place].name, doubtful.get(best.place), count, best.novelty)
    words = deciding_messages.compared(why, len(evidence), len(choices), "images")
    return NextImageChoice(best.place, words)


def _key(order: LookOrder, place: int) -> tuple[Path, int, str]:
    path = order.images[place].path
    return path, path.stat().st_mtime_ns if path.exists() else 0, order.model
