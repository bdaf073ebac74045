"""``napari-sam find``: the objects of images that fit words, or that are like examples, as labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.commands.common import getting, getting_text_model, reported, work_bar
from napari_sam.commands.find.report import report
from napari_sam.commands.options.shared import (
    Debug,
    Device,
    FixedPlaces,
    JsonTable,
    LinkAxis,
    MaskFormat,
    Model,
    StackContrast,
    limits,
)
from napari_sam.commands.options.stack import read_place

if TYPE_CHECKING:
    from napari_sam.batch.finding import DescribedFinder, ModelFinder
    from napari_sam.batch.matching.examples import ExamplePlane
    from napari_sam.batch.plan import PlannedImage, PlanOptions


def find(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Images, stacks, and folders of images.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="For one image a file, labels.tif say; else a folder."),
    ],
    text: Annotated[
        list[str] | None, typer.Option("--text", help="What to look for, in English. Repeatable: each is a class.")
    ] = None,
    negative: Annotated[
        list[str] | None, typer.Option("--negative", help="What looks like it and is not wanted. Repeatable.")
    ] = None,
    example_labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Instead of words: labels of a few objects of the kind to look for."),
    ] = None,
    example_image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The image that they are labels of. Default: INPUT, if that is one image."),
    ] = None,
    example_ids: Annotated[
        str | None, typer.Option(metavar="ID,...", help="Which labels are examples. Default: all.")
    ] = None,
    negative_ids: Annotated[
        str | None, typer.Option(metavar="ID,...", help="Which labels are examples of what is not wanted.")
    ] = None,
    negative_labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More labels of what is not wanted, of the same image.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0, max=1, help="Least score of an object, 0 to 1. Default: 0.5."),
    ] = None,
    text_model: Annotated[
        str,
        typer.Option(
            "--text-model", help="A clip model of `napari-sam models list`, downloaded if need be, or its folder."
        ),
    ] = "clip-datacomp",
    model: Model = "bundled",
    device: Device = "auto",
    kind: MaskFormat = "labels",
    axis: LinkAxis = None,
    fixed: FixedPlaces = None,
    contrast_limits: StackContrast = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there; never an input.")] = False,
    as_json: JsonTable = False,
    debug: Debug = False,
) -> None:
    """Find the objects of images that fit words, or that are like examples, and write them as labels."""
    _require_one_way(
        {"--text": text, "--negative": negative},
        {
            "--example-labels": example_labels,
            "--example-image": example_image,
            "--example-ids": example_ids,
            "--negative-ids": negative_ids,
            "--negative-labels": negative_labels,
        },
    )
    # Not within `reported`: typer tells of a mistake in an option, with the usage.
    window, places = limits(contrast_limits), dict(read_place(one) for one in fixed or ())
    ids, unwanted = _ids("--example-ids", example_ids), _ids("--negative-ids", negative_ids)
    with reported(debug):
        from napari_sam.batch.finding import ModelFinder
        from napari_sam.batch.local import LocalExecutor
        from napari_sam.batch.matching.examples import read_examples
        from napari_sam.batch.output import require_place
        from napari_sam.batch.plan import PlanOptions, find_images, plan_images
        from napari_sam.batch.run import run_batch, run_folder
        from napari_sam.datasets.table import find_format
        from napari_sam.files import part_path

        wanted = find_format(kind)
        part = part_path(output)
        options = PlanOptions(axis, contrast_limits=window, at=places)
        images = plan_images(find_images(inputs, axis), options, part)
        others = [Path(one) for one in (model, text_model, example_labels, negative_labels, example_image) if one]
        require_place(output, images, wanted, replacing=force, others=[one for one in others if one.exists()])
        objects = ModelFinder(str(Path(model).resolve()) if Path(model).exists() else model, device)
        if example_labels is not None:
            shown = _shown(images, example_image, options, part)
            examples = read_examples(
                shown, example_labels, ids=ids, negative_ids=unwanted, negative_labels=negative_labels
            )
            finder, by = _examples(objects, shown, examples, threshold)
        else:
            finder, by = _words(objects, text or [], negative or [], text_model, threshold)
        with run_folder(part, anew=force) as folder, work_bar("Looking for objects") as progress:
            executor = LocalExecutor()
            about = executor.describe(finder, folder)
            for note in (*(note for image in images for note in image.notes), *about.notes):
                typer.echo(f"Note: {note}", err=True)
            result = run_batch(images, finder, executor, folder, output, wanted, progress, description=about)
        report(output, result, about.classes, by, as_json=as_json)


def _require_one_way(words: dict[str, object], examples: dict[str, object]) -> None:
    """Refuse words together with examples, and neither."""
    of_words, of_examples = ([name for name, given in ways.items() if given] for ways in (words, examples))
    if of_words and of_examples:
        raise typer.BadParameter(f"{of_words[0]} is for words, {of_examples[0]} for examples: look by one of them.")
    if not words["--text"] and not examples["--example-labels"]:
        raise typer.BadParameter("Give what to look for: --text WORDS, or --example-labels FILE.")


def _ids(name: str, text: str | None) -> tuple[int, ...]:
    """Read ``3,7``."""
    try:
        found = tuple(int(part) for part in text.split(",")) if text is not None else ()
        if min(found, default=1) < 1:
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"{name} {text} is not ID,...: labels from 1 up, with commas between.") from None
    return found


def _words(
    objects: "ModelFinder", phrases: list[str], negatives: list[str], text_model: str, threshold: float | None
) -> "tuple[DescribedFinder, dict[str, Any]]":
    """Load the text model, downloading it first if it is not here; return what compares, and what to tell of it."""
    from napari_sam.batch.matching.finders import WordsFinder, loaded_encoder
    from napari_sam.text.query import TextQuery
    from napari_sam.text.ranking import THRESHOLD

    query = TextQuery(tuple(phrases), tuple(negatives))
    with getting_text_model(text_model) as progress:
        encoder = loaded_encoder(text_model, objects.device, progress)
    _load(objects)
    finder = WordsFinder(objects, query, text_model, THRESHOLD if threshold is None else threshold)
    return finder, {"text_model": encoder.name}


def _examples(
    objects: "ModelFinder", image: "PlannedImage", examples: "list[ExamplePlane]", threshold: float | None
) -> "tuple[DescribedFinder, dict[str, Any]]":
    """Look at the examples; return what compares, and what to tell of it."""
    from napari_sam.automatic.similarity import SIMILAR
    from napari_sam.batch.matching.finders import ExamplesFinder
    from napari_sam.batch.matching.querying import example_query

    _load(objects)
    with work_bar("Looking at the examples") as progress:
        query = example_query(objects, image, examples, progress)
    counts = (sum(map(len, kind)) for kind in zip(*((one.positive, one.negative) for one in examples), strict=True))
    finder = ExamplesFinder(objects, query, SIMILAR if threshold is None else threshold)
    return finder, dict(zip(("examples", "negative_examples"), counts, strict=True))


def _load(objects: "ModelFinder") -> None:
    """Load the model that finds objects, downloading it first if it is not here."""
    from napari_sam.batch.finding import loaded_predictor

    with getting(objects.model) as progress:
        loaded_predictor(objects.model, objects.device, progress)


def _shown(images: "list[PlannedImage]", path: Path | None, options: "PlanOptions", part: Path) -> "PlannedImage":
    """Choose the image that examples lie on."""
    from napari_sam.batch.plan import find_images, plan_images
    from napari_sam.errors import InputError

    if path is None:
        if len(images) > 1:
            raise InputError(f"Say which of the {len(images)} images the examples are of: --example-image FILE.")
        return images[0]
    found = find_images([path], options.axis)
    if len(found) > 1:
        raise InputError(f"{path} holds {len(found)} images. Name the one that the examples are of.")
    same = [image for image in images if image.path == found[0]]
    return same[0] if same else plan_images(found, options, part / "examples")[0]
