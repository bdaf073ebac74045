"""Options for what becomes of a mask before it is written: those of the Clean-up section of the dock."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.inference.shaping import MaskShaping

Threshold = Annotated[
    float, typer.Option("--threshold", help="Logit above which a pixel is inside; less than 0 gives larger masks.")
]
FillHoles = Annotated[bool, typer.Option("--fill-holes", help="Fill what the mask encloses.")]
LargestHole = Annotated[
    int, typer.Option("--largest-hole", metavar="PX", help="With --fill-holes: only holes of up to so many pixels.")
]
LargestPart = Annotated[bool, typer.Option("--largest-part", help="Keep only the largest part of the mask.")]
SmallestPart = Annotated[
    int, typer.Option("--smallest-part", metavar="PX", help="Leave out parts of fewer pixels than this.")
]
Smooth = Annotated[int, typer.Option("--smooth", metavar="PX", help="Smooth the outline: what is thinner goes.")]
Grow = Annotated[
    int, typer.Option("--grow", metavar="PX", help="Grow the mask on all sides; less than 0 shrinks it: --grow=-2.")
]
GreyRange = Annotated[
    str | None,
    typer.Option("--grey-range", metavar="LO,HI", help="Only pixels with these values, as they are in the image."),
]


def mask_shaping(**options: Any) -> "MaskShaping":
    """Put the options together; what is out of range is a mistake in them."""
    from napari_sam.inference.shaping import MaskShaping

    try:
        return MaskShaping(**options)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error
