"""The parts that a session is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.journal import Journal
from napari_sam.session.channels import Channels
from napari_sam.session.dialogue import Dialogue
from napari_sam.session.ledger import Ledger
from napari_sam.session.preview import Preview
from napari_sam.session.prompt_layers import PromptLayers
from napari_sam.session.scene import Scene
from napari_sam.session.targets import Targets
from napari_sam.session.tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_sam.session.inference import Backend
    from napari_sam.worker import Worker


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What each part is for, its own docstring says; none of them knows the session."""

    viewer: ViewerModel
    scene: Scene
    prompts: PromptLayers
    preview: Preview
    targets: Targets
    tools: Tools
    dialogue: Dialogue
    ledger: Ledger
    channels: Channels

    @classmethod
    def make(
        cls,
        viewer: ViewerModel,
        worker: Worker,
        backend: Backend,
        model: str,
        device: str,
        on_dialogue_changed: Callable[[], None],
    ) -> Parts:
        """Make the parts for one viewer; the arguments are those of `Scene`, `Dialogue` and so on."""
        scene, prompts, preview = Scene(viewer), PromptLayers(viewer), Preview(viewer)
        tools = Tools(viewer, prompts)
        dialogue = Dialogue(scene, prompts, preview, worker, backend, model, device, on_dialogue_changed)
        targets = Targets(viewer, worker, on_dialogue_changed)
        ledger = Ledger(prompts, tools, dialogue, Journal())
        return cls(viewer, scene, prompts, preview, targets, tools, dialogue, ledger, Channels(viewer))

    @property
    def above_preview(self) -> list[Layer | None]:
        """Layers that lie on top of the preview."""
        return [self.prompts.points, self.prompts.shapes]

    @property
    def above_target(self) -> list[Layer | None]:
        """Layers that lie on top of a target."""
        return [self.preview.layer, *self.above_preview]
