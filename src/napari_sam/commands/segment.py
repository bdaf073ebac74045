"""``napari-sam segment``: one image, one object, one labels file."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from napari_sam.commands.common import getting, reported, text_encoder, work_bar
from napari_sam.commands.options.many import BoxTable, ManyPrompts, PointTable, RoughLabels, segment_many
from napari_sam.commands.options.shaping import (
    FillHoles,
    GreyRange,
    Grow,
    LargestHole,
    LargestPart,
    SmallestPart,
    Smooth,
    Threshold,
    mask_shaping,
)
from napari_sam.commands.options.shared import Debug, Device, ImageContrast, Model, limits, numbers, split_polarity
from napari_sam.errors import InputError
from napari_sam.prompts import AreaPrompt, BoxPrompt, PointPrompt, Prompt, PromptSet, ScribblePrompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sam.inference.shaping import MaskShaping
    from napari_sam.planes.plane import Plane
    from napari_sam.predictor import Prediction, Predictor


def _point(text: str) -> PointPrompt:
    """Read ``Y,X``, ``Y,X,+`` or ``Y,X,-``."""
    place, positive = split_polarity(text)
    y, x = numbers(place, "Y,X")
    with _mistakes():
        return PointPrompt((y, x), positive)


def _box(text: str) -> BoxPrompt:
    """Read ``Y0,X0,Y1,X1``."""
    y0, x0, y1, x1 = numbers(text, "Y0,X0,Y1,X1")
    with _mistakes():
        return BoxPrompt((y0, x0), (y1, x1))


def _scribble(text: str) -> ScribblePrompt:
    """Read ``Y,X;Y,X;...``, and ``,+`` or ``,-`` at its end."""
    path, positive = split_polarity(text)
    with _mistakes():
        return ScribblePrompt(_path(path), positive)


class _Polygon(NamedTuple):
    """Corners of a polygon, data pixels, (y, x): which pixels it encloses depends on the image."""

    corners: tuple[tuple[float, float], ...]
    positive: bool


def _polygon(text: str) -> _Polygon:
    """Read ``Y,X;Y,X;Y,X;...``, and ``,+`` or ``,-`` at its end."""
    path, positive = split_polarity(text)
    corners = _path(path)
    if len(corners) < 3:
        raise typer.BadParameter(f"{text!r} has {len(corners)} corners; a polygon has three at least.")
    return _Polygon(corners, positive)


def _path(text: str) -> tuple[tuple[float, float], ...]:
    """Read places with semicolons between."""
    return tuple((y, x) for y, x in (numbers(place, "Y,X") for place in text.split(";")))


@contextmanager
def _mistakes() -> Iterator[None]:
    """Make what a prompt refuses, infinite numbers say, a mistake in the option."""
    try:
        yield
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def segment(
    image: Annotated[Path, typer.Argument(help="A 2-D image: TIFF, PNG or JPEG; grey, RGB or RGBA.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The labels file to write, a TIFF.")],
    points: Annotated[
        list[PointPrompt] | None,
        typer.Option(
            "--point",
            parser=_point,
            metavar="Y,X[,+|-]",
            help="A click, row and column from 0; + (default) on the object, - beside it. Repeatable.",
        ),
    ] = None,
    boxes: Annotated[
        list[BoxPrompt] | None,
        typer.Option("--box", parser=_box, metavar="Y0,X0,Y1,X1", help="Two opposite corners around the object."),
    ] = None,
    scribbles: Annotated[
        list[ScribblePrompt] | None,
        typer.Option(
            "--scribble",
            parser=_scribble,
            metavar="Y,X;Y,X;...[,+|-]",
            help="A line along the object (+, default) or along what does not belong to it (-). Repeatable.",
        ),
    ] = None,
    polygons: Annotated[
        list[_Polygon] | None,
        typer.Option(
            "--polygon",
            parser=_polygon,
            metavar="Y,X;Y,X;Y,X;...[,+|-]",
            help="Corners around the object (+, default) or around what is to be cut off (-). Repeatable.",
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", help="What the object is called, in English; for a model that was trained for it."),
    ] = None,
    text_model: Annotated[
        str | None,
        typer.Option(
            "--text-model",
            metavar="FOLDER",
            help="Where the clip model lies that --model was trained with. Default: among the weights, or downloaded.",
        ),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option("--prompts", help="More prompts: a JSON file of PromptSet.to_json.")
    ] = None,
    point_file: PointTable = None,
    box_file: BoxTable = None,
    label_file: RoughLabels = None,
    model: Model = "bundled",
    device: Device = "auto",
    contrast_limits: ImageContrast = None,
    threshold: Threshold = 0.0,
    fill_holes: FillHoles = False,
    largest_hole: LargestHole = 0,
    largest_part: LargestPart = False,
    smallest_part: SmallestPart = 0,
    smooth: Smooth = 0,
    grow: Grow = 0,
    grey_range: GreyRange = None,
    overlay: Annotated[
        Path | None,
        typer.Option("--overlay", help="Also write a picture of the image with the outline and the prompts, a PNG."),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add the object to the labels that are there, with the next free id.")
    ] = False,
    over_others: Annotated[
        bool, typer.Option("--over-others", help="With --append, also take pixels of other objects.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there; never an input.")] = False,
    debug: Debug = False,
) -> None:
    """Segment one object by clicks, a box, lines, areas or words, or one for each prompt of a file, as labels."""
    from napari_sam.io.labels import add_object, write_labels
    from napari_sam.io.planes import read_plane
    from napari_sam.planes.plane import Plane

    given: list[Prompt] = [*(points or []), *(boxes or []), *(scribbles or [])]
    shaping = mask_shaping(
        threshold=threshold,
        fill_holes=fill_holes,
        largest_hole=largest_hole,
        largest_part=largest_part,
        smallest_part=smallest_part,
        smooth=smooth,
        grow=grow,
        grey_range=limits(grey_range),
    )
    many = ManyPrompts(point_file, box_file, label_file)
    if many.files:
        many.require_alone(others=bool(given or polygons or prompts or text or overlay), append=append)
        window = limits(contrast_limits)
        with reported(debug):
            _check_outputs(output, None, [image, *many.files, *_model_file(model)], append=append, force=force)
            plane = Plane(read_plane(image), window)
            before = _labels_before(output, plane.shape, append=append)
            labels, summary = segment_many(
                plane, many, before, model, device, shaping=shaping, empty_only=not over_others
            )
            write_labels(output, labels)
            typer.echo(f"{output}: {summary}")
        return
    if not given and not polygons and prompts is None and text is None:
        raise typer.BadParameter(
            "Give at least one --point, --box, --scribble or --polygon, --text WORDS, or --prompts FILE; or for many "
            "objects --points, --boxes or --labels FILE."
        )
    # Not within `reported`: typer tells of a mistake in an option, with the usage.
    window = limits(contrast_limits)
    with reported(debug):
        # The model may be a file, too, which is as little written over as the image.
        inputs = [image, *([] if prompts is None else [prompts]), *_model_file(model)]
        _check_outputs(output, overlay, inputs, append=append, force=force)
        plane = Plane(read_plane(image), window)
        areas = [AreaPrompt.of_polygon(one.corners, plane.shape, positive=one.positive) for one in polygons or []]
        wanted = _prompt_set([*given, *areas], prompts)
        wanted.require_inside(plane.shape)  # before a model is downloaded or loaded
        before = _labels_before(output, plane.shape, append=append)
        prediction, timing = _predict(plane, wanted, _Words(text, text_model), model, device, shaping)
        mask = prediction.masks[0]
        if not mask.any():
            where = "there" if wanted.is_placed else "of that name"
            raise InputError(f"The model finds no object {where}. Try another point, or a box around the object.")
        labels, new, written = add_object(before, mask, empty_only=not over_others)
        if not written:
            raise InputError("Every pixel of that object belongs to others already. Use --over-others to take them.")
        write_labels(output, labels)
        if overlay is not None:
            from napari_sam.io.overlay import write_overlay

            write_overlay(overlay, plane.rendered, mask, wanted)
        left = int(mask.sum()) - written
        others = f" ({left} px more belong to other objects)" if left else ""
        typer.echo(f"{output}: object {new}, {written} px{others}, estimated IoU {prediction.scores[0]:.2f}, {timing}.")


def _model_file(model: str) -> list[Path]:
    """Return the file of a model, if it is one."""
    return [Path(model)] if Path(model).exists() else []


def _prompt_set(given: list[Prompt], file: Path | None) -> PromptSet:
    """Put the prompts of the options after those of the file."""
    if file is None:
        return PromptSet.of(given)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"The prompts in {file} cannot be read: {error}.") from error
    return PromptSet.of([*PromptSet.from_json(text), *given])


def _check_outputs(output: Path, overlay: Path | None, inputs: list[Path], *, append: bool, force: bool) -> None:
    """Refuse before any work what must not be written."""
    from napari_sam.io.labels import require_tiff
    from napari_sam.io.outputs import require_output, same_place
    from napari_sam.io.overlay import require_picture

    require_tiff(output)
    hint = "use --append to add the object to it, or --force to replace it"
    require_output(output, inputs, replace=append or force, hint=hint)
    if overlay is not None:
        require_picture(overlay)
        require_output(overlay, inputs, replace=force)
        # The second file would replace the first, under whatever name.
        if same_place(output, overlay):
            raise InputError(f"{overlay} cannot be both the labels and the overlay. Choose another overlay.")


def _labels_before(path: Path, shape: tuple[int, int], *, append: bool) -> "NDArray[np.integer[Any]]":
    """Return the labels to add to: those of the file with ``--append``, else none."""
    import numpy as np

    from napari_sam.io.labels import read_labels

    if not (append and path.exists()):
        return np.zeros(shape, np.uint16)
    labels = read_labels(path)
    if labels.shape != shape:
        raise InputError(
            f"{path} is {labels.shape[0]} x {labels.shape[1]} px, the image {shape[0]} x {shape[1]} px. "
            "Append to the labels of the same image."
        )
    return labels


class _Words(NamedTuple):
    """What the object is called, and where the clip model lies that reads it."""

    text: str | None
    model: str | None

    def added_to(self, prompts: PromptSet, predictor: "Predictor", device: str) -> PromptSet:
        """Put the words after other prompts, embedded as the predictor takes them."""
        if self.text is None:
            return prompts
        predictor.require_kind("text")  # before hundreds of megabytes are loaded for nothing
        from napari_sam.text.prompting import text_prompt

        encoder = text_encoder(self.model or _text_model(predictor), device)
        return PromptSet((*prompts, text_prompt(encoder, self.text)))


def _text_model(predictor: "Predictor") -> str:
    """Name the clip model whose embeddings a predictor takes."""
    from napari_sam.text.store import knows

    space = predictor.text_space
    if space is None or not (space.source or knows(space.model)):
        raise InputError(
            f"{predictor.name} was trained with a text model of its own, {space.model if space else 'unnamed'}. "
            "Say where that lies: --text-model FOLDER."
        )
    return space.source or space.model


def _predict(
    plane: "Plane", prompts: PromptSet, words: _Words, model: str, device: str, shaping: "MaskShaping"
) -> "tuple[Prediction, str]":
    """Load the model, encode the plane and answer; return the answer and words for the time it took."""
    from napari_sam.inference.engine import Engine
    from napari_sam.planes import fits
    from napari_sam.predictor import load_predictor

    with getting(model) as progress:
        predictor = load_predictor(model, device, progress=progress)
    for note in predictor.notes:
        typer.echo(f"Note: {note}", err=True)
    prompts = words.added_to(prompts, predictor, device)
    # Loading is not counted: it says nothing about this image.
    engine, start = Engine(predictor), time.perf_counter()
    # Crops follow from the prompts: encoding and answering go in turns, and are timed together.
    if not fits(plane.shape, predictor.canvas_side, plane.spacing):
        with work_bar("Looking for the object") as progress:
            prediction = engine.predict(plane, prompts, shaping=shaping, progress=progress)
        seconds = time.perf_counter() - start
        return prediction, f"{1e3 * seconds:.0f} ms to encode and predict it in a crop on {predictor.device_text}"
    with work_bar("Encoding") as progress:
        engine.embed(plane, progress=progress)
    encoded = time.perf_counter()
    prediction = engine.predict(plane, prompts, shaping=shaping)
    done = time.perf_counter()
    times = f"{1e3 * (encoded - start):.0f} ms to encode and {1e3 * (done - encoded):.0f} ms to predict"
    return prediction, f"{times} on {predictor.device_text}"
