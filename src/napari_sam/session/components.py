"""The parts that a session is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.journal import Journal
from napari_sam.session.candidates.live import LivePrediction
from napari_sam.session.candidates.preview import CandidatePreview
from napari_sam.session.labels.targets import TargetLayers
from napari_sam.session.objects.log import ObjectLog
from napari_sam.session.prompts.editor import PromptEditor
from napari_sam.session.prompts.prompt_layers import PromptLayers
from napari_sam.session.prompts.tools import PromptTools
from napari_sam.session.viewing.active_image import ActiveImage
from napari_sam.session.viewing.channels import ChannelCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """What each part is for, its own docstring says; none of them knows the session."""

    viewer: ViewerModel
    active: ActiveImage
    prompt_layers: PromptLayers
    prompts: PromptEditor
    preview: CandidatePreview
    targets: TargetLayers
    tools: PromptTools
    live: LivePrediction
    log: ObjectLog
    channels: ChannelCheck

    @classmethod
    def make(
        cls,
        viewer: ViewerModel,
        worker: Worker,
        backend: InferenceBackend,
        model: str,
        device: str,
        on_live_changed: Callable[[], None],
    ) -> Components:
        """Make the parts for one viewer; the arguments are those of `ActiveImage`, `LivePrediction` and so on."""
        active, layers, preview = ActiveImage(viewer), PromptLayers(viewer), CandidatePreview(viewer)
        prompts, tools = PromptEditor(viewer, layers), PromptTools(viewer, layers)
        live = LivePrediction(active, prompts, preview, worker, backend, model, device, on_live_changed)
        targets = TargetLayers(viewer, worker, on_live_changed)
        log = ObjectLog(prompts, tools, live, Journal())
        return cls(viewer, active, layers, prompts, preview, targets, tools, live, log, ChannelCheck(viewer))

    @property
    def above_preview(self) -> list[Layer | None]:
        """Layers that lie on top of the preview."""
        return [self.prompt_layers.points, self.prompt_layers.shapes]

    @property
    def above_target(self) -> list[Layer | None]:
        """Layers that lie on top of a target."""
        return [self.preview.layer, *self.above_preview]
