"""How objects are found: in dense maps, or by asking at every point of a grid."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import TYPE_CHECKING

from napari_sam.automatic.proposals import ProposalFilter
from napari_sam.errors import InputError

if TYPE_CHECKING:
    from napari_sam.predictor import Predictor


@dataclass(frozen=True, slots=True)
class DenseSettings:
    """What counts as an object. The defaults were chosen on training images of BBBC038.

    Attributes
    ----------
    views : int
        How many mirror images of the plane are averaged, 1 to 4.
    foreground : float
        Probability above which a pixel may belong to an object.
    prominence : float
        How far a seed must stand out from the saddle to its neighbour, 0 to 1. Less splits more; parts of one object
        are joined again by `refine`.
    certainty : float
        Least mean foreground probability of an object.
    least_area : int
        Data pixels of the smallest object.
    refine : bool
        Whether the decoder draws each object from one point in it, in three ways that compete with those of its
        neighbours. Without, objects are as the watershed leaves them: a few times quicker, and less exact.
    least_score : float
        Least IoU that the decoder predicts for its own mask.
    most_common : float
        Of two masks the better one stays alone where they have more than this share of the smaller one in common.
    magnify : bool
        Whether parts of the plane with small objects are enlarged and looked at again, where the model can do it.
    """

    views: int = 4
    foreground: float = 0.4
    prominence: float = 0.1
    certainty: float = 0.6
    least_area: int = 15
    refine: bool = True
    least_score: float = 0.55
    most_common: float = 0.5
    magnify: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # Types are texts here, because annotations are not evaluated.
            if field.type == "float" and not 0 <= value <= 1:
                raise InputError(f"{field.name} is a number from 0 to 1; got {value!r}.")
        if not 1 <= self.views <= 4:
            raise InputError(f"views is 1, 2, 3 or 4; got {self.views!r}.")
        if self.least_area < 1:
            raise InputError(f"least_area is a number of pixels, 1 or more; got {self.least_area!r}.")

    @property
    def filter(self) -> ProposalFilter:
        """What is wanted of the objects that were found."""
        return ProposalFilter(score=self.least_score, area=(self.least_area, inf), overlap=self.most_common)


QUICK = DenseSettings(views=1, prominence=0.15, certainty=0.7, refine=False)
"""One view, without the decoder: a small part of the time, and less exact."""

MICRO_SAM = DenseSettings(views=1, foreground=0.5, prominence=0.15, certainty=0.5, least_area=25)
"""For micro-sam's decoder of instances: thresholds of its authors, where they have the same meaning here."""


@dataclass(frozen=True, slots=True)
class GridSettings:
    """Where a model is asked, and which of its answers count. The defaults are those of the paper.

    Kirillov et al., Segment Anything, arXiv 2304.02643, appendix B, and the authors' code; `grid_settings_for` has
    those that suit other weights.

    Attributes
    ----------
    points_per_side : int
        The model is asked at the centres of so many x so many cells of the plane.
    points_per_batch : int or None
        How many at a time; None: what suits the device. It changes the time and the memory, not the answer.
    least_score : float
        Predicted IoU that a mask must exceed, 0 to 1; 0: any will do.
    least_stability : float
        Least IoU of the masks that a higher and a lower threshold of the logits give, 0 to 1.
    stability_offset : float
        How much higher and lower, logits.
    most_box_iou : float
        Of two masks of one picture the one with the better score stays, where the IoU of their boxes is greater.
    crop_layers : int
        How many times parts of the plane are looked at, too: 2 x 2 in the first layer, 4 x 4 in the second, and so on.
    crop_overlap : float
        How far crops of the first layer overlap, as a share of the plane's shorter side, 0 to 1; those of the layers
        after it half as far each time.
    crop_downscale : int
        In each layer, points per side are divided by this once more.
    most_crop_iou : float
        Of two masks from different crops, the one from the smaller crop stays, where the IoU of their boxes is greater.
    least_region : int
        Data pixels: holes and islands that are smaller are filled and removed. 0 leaves them.
    least_area : int
        Data pixels of the smallest object.
    most_common : float
        Where masks become labels: of two masks the better one stays alone where they have more than this share of the
        smaller one in common.
    """

    points_per_side: int = 32
    points_per_batch: int | None = None
    least_score: float = 0.88
    least_stability: float = 0.95
    stability_offset: float = 1.0
    most_box_iou: float = 0.7
    crop_layers: int = 0
    crop_overlap: float = 512 / 1500
    crop_downscale: int = 1
    most_crop_iou: float = 0.7
    least_region: int = 0
    least_area: int = 1
    most_common: float = 0.5

    def __post_init__(self) -> None:
        for name in ("least_score", "least_stability", "most_box_iou", "crop_overlap", "most_crop_iou", "most_common"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a number from 0 to 1; got {getattr(self, name)!r}.")
        if not 0 < self.stability_offset < inf:
            raise InputError(f"stability_offset is a number greater than 0; got {self.stability_offset!r}.")
        least = {"points_per_side": 1, "crop_layers": 0, "crop_downscale": 1, "least_region": 0, "least_area": 1}
        if self.points_per_batch is not None:
            least["points_per_batch"] = 1
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise InputError(f"{name} is a whole number, {bound} or more; got {getattr(self, name)!r}.")
        if self.points_per_side < self.crop_downscale**self.crop_layers:
            raise InputError(
                f"{self.points_per_side} points per side, divided by {self.crop_downscale} {self.crop_layers} times, "
                "leave none for the smallest crops. Ask for more points, fewer layers, or a smaller crop_downscale."
            )

    @property
    def filter(self) -> ProposalFilter:
        """What is wanted of the objects that were found."""
        return ProposalFilter(
            score=self.least_score,
            stability=self.least_stability,
            area=(self.least_area, inf),
            overlap=self.most_common,
        )


ADVISED = {
    "bundled": GridSettings(least_score=0.5, least_stability=0.7, least_area=15),
    "vit_t_lm": GridSettings(least_score=0.6, least_stability=0.65, least_area=100),
    "vit_b_lm": GridSettings(least_score=0.65, least_stability=0.7, least_area=100),
    "vit_l_lm": GridSettings(least_score=0.65, least_stability=0.73, least_area=100),
    "vit_t_em_organelles": GridSettings(least_score=0.75, least_stability=0.75, least_area=100),
    "vit_b_em_organelles": GridSettings(least_score=0.75, least_stability=0.75, least_area=100),
    "vit_l_em_organelles": GridSettings(least_score=0.8, least_stability=0.8, least_area=100),
}
"""By name in the registry: what suits the bundled model, and what the authors of micro-sam advise for theirs."""


def dense_settings_for(predictor: Predictor) -> DenseSettings:
    """Return the settings that suit a model with a dense head: the bundled model's, or `MICRO_SAM`."""
    return MICRO_SAM if predictor.dense_views == 1 else DenseSettings()


def grid_settings_for(model: str) -> GridSettings:
    """Return the settings that suit a model: those that its authors advise, else the paper's.

    Parameters
    ----------
    model : str
        A name of `napari_sam.list_models`, or anything else, such as the path of a checkpoint.

    Returns
    -------
    GridSettings
    """
    return ADVISED.get(model, GridSettings())
