"""The components that a session is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.journal import Journal
from napari_sam.session.candidates.brush import PreviewBrush
from napari_sam.session.candidates.hover import HoverPreview
from napari_sam.session.candidates.live import LivePrediction
from napari_sam.session.candidates.prefetch import PlanePrefetch
from napari_sam.session.candidates.preview import CandidatePreview
from napari_sam.session.everything.chooser import ObjectChooser
from napari_sam.session.everything.controller import EverythingController
from napari_sam.session.everything.deciding.accepting import PlaneAccept
from napari_sam.session.everything.deciding.judge import ProposalJudge
from napari_sam.session.everything.deciding.next_plane import PlaneAdvisor
from napari_sam.session.everything.deciding.painting import PaintNotes
from napari_sam.session.everything.prompted.reading import PromptSources
from napari_sam.session.everything.proposals_layer import ProposalsLayer
from napari_sam.session.everything.shaping.shaper import ObjectShaper
from napari_sam.session.everything.stack.accepting import StackAccept
from napari_sam.session.labels.targets import TargetLayers
from napari_sam.session.objects.current import CurrentObject
from napari_sam.session.objects.editing.controller import ObjectEditing
from napari_sam.session.objects.editing.marks import MarksLayer
from napari_sam.session.objects.editing.operations import ObjectOperations
from napari_sam.session.objects.editing.picker import ObjectPicker
from napari_sam.session.objects.log import ObjectLog
from napari_sam.session.objects.pending_accepts import PendingAccepts
from napari_sam.session.objects.recording import ObjectRecorder
from napari_sam.session.objects.same_object import SameObject
from napari_sam.session.prompts.editor import PromptEditor
from napari_sam.session.prompts.prompt_layers import PromptLayers
from napari_sam.session.prompts.tools import PromptTools
from napari_sam.session.propagation.controller import PropagationController
from napari_sam.session.recovery.controller import RecoveryController
from napari_sam.session.series.advisor import ImageAdvisor
from napari_sam.session.series.controller import SeriesController
from napari_sam.session.table.controller import ObjectTable
from napari_sam.session.viewing.active_image import ActiveImage
from napari_sam.session.viewing.channels import ChannelCheck
from napari_sam.session.viewing.connections import Mute

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_sam.inference.backend import InferenceBackend
    from napari_sam.inference.worker import Worker
    from napari_sam.session.settings import SessionSettings


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """What the facade is composed of; none of them knows the session, or this table of them."""

    viewer: ViewerModel
    settings: SessionSettings
    active: ActiveImage
    prompt_layers: PromptLayers
    prompts: PromptEditor
    tools: PromptTools
    preview: CandidatePreview
    brush: PreviewBrush
    live: LivePrediction
    targets: TargetLayers
    current: CurrentObject
    same_object: SameObject
    log: ObjectLog
    recorder: ObjectRecorder
    painting: PaintNotes
    channels: ChannelCheck
    accepts: PendingAccepts
    propagation: PropagationController
    operations: ObjectOperations
    editing: ObjectEditing
    everything: EverythingController
    recovery: RecoveryController
    table: ObjectTable
    series: SeriesController
    image_advisor: ImageAdvisor
    prefetch: PlanePrefetch
    hover: HoverPreview
    mute: Mute

    @classmethod
    def make(
        cls,
        viewer: ViewerModel,
        worker: Worker,
        backend: InferenceBackend,
        settings: SessionSettings,
        is_held: Callable[[], bool] | None,
    ) -> Components:
        """Make the components for one viewer.

        Parameters
        ----------
        viewer : ViewerModel
            The viewer, unwrapped.
        worker, backend
            What computes.
        settings : SessionSettings
            What the person chose.
        is_held : callable, optional
            Tells whether the person still drags something; called on the inference thread.
        """
        active, layers, preview = ActiveImage(viewer), PromptLayers(viewer), CandidatePreview(viewer)
        # One for all: what any component changes is nothing that the person did.
        mute = Mute()
        brush = PreviewBrush(viewer, active, layers, preview, settings, mute)
        prompts, tools = PromptEditor(viewer, layers), PromptTools(viewer, layers, brush)
        live = LivePrediction(active, prompts, preview, worker, backend, settings, is_held)

        # Asked each time: the preview and the prompt layers come and go.
        def above_target() -> list[Layer | None]:
            return [preview.layer, layers.points, layers.shapes]

        targets = TargetLayers(viewer, worker, settings, above_target)
        current = CurrentObject(viewer, active, targets)
        same_object, recorder = SameObject(current, active, live), ObjectRecorder(Journal(), worker)
        proposals = ProposalsLayer(viewer)
        chooser = ObjectChooser(active, proposals, targets, tools, settings, above_target, mute)

        def is_own(layer: Layer) -> bool:
            return layer in (preview.layer, proposals.layer, layers.points, layers.shapes)

        log = ObjectLog(prompts, tools, live, current, recorder)
        accepts = PendingAccepts(viewer, active, prompts, live, targets, log, current, settings, mute=mute)
        series = SeriesController(
            viewer, active, prompts, live, targets, accepts, mute=mute, worker=worker, backend=backend
        )
        marks, picker = MarksLayer(viewer), ObjectPicker(active, prompts, tools, live, preview, targets, log, current)
        operations = ObjectOperations(
            active,
            tools,
            live,
            picker,
            marks,
            targets,
            current,
            log,
            recorder,
            worker=worker,
            backend=backend,
        )
        return cls(
            viewer=viewer,
            settings=settings,
            active=active,
            prompt_layers=layers,
            prompts=prompts,
            tools=tools,
            preview=preview,
            brush=brush,
            live=live,
            targets=targets,
            current=current,
            same_object=same_object,
            log=log,
            recorder=recorder,
            painting=PaintNotes(active, targets, recorder, mute, worker),
            channels=ChannelCheck(viewer),
            accepts=accepts,
            propagation=PropagationController(
                viewer,
                active,
                prompts,
                live,
                targets,
                log,
                recorder,
                current,
                same_object,
                settings,
                mute=mute,
                worker=worker,
                backend=backend,
            ),
            operations=operations,
            editing=ObjectEditing(
                viewer,
                active,
                tools,
                live,
                picker,
                marks,
                operations,
                lambda: [preview.layer, proposals.layer],
                mute,
            ),
            everything=EverythingController(
                active,
                live,
                chooser,
                targets,
                StackAccept(targets, log, recorder, settings, mute=mute, worker=worker),
                settings,
                PromptSources(viewer, active, live, prompts, log, is_own),
                ObjectShaper(chooser, settings, worker=worker, backend=backend),
                ProposalJudge(
                    chooser,
                    PlaneAccept(live, targets, log, recorder, settings, worker),
                    PlaneAdvisor(active, live, chooser, settings, recorder, worker=worker, backend=backend),
                    worker=worker,
                ),
                worker=worker,
                backend=backend,
            ),
            recovery=RecoveryController(viewer, active, targets, log, recorder, mute=mute, worker=worker),
            table=ObjectTable(viewer, active, targets, settings, worker),
            series=series,
            image_advisor=ImageAdvisor(active, settings, series, recorder, mute=mute, worker=worker, backend=backend),
            prefetch=PlanePrefetch(worker, backend, active, live, settings),
            hover=HoverPreview(viewer, active, live, tools, layers, preview, worker, backend, settings),
            mute=mute,
        )

    def release(self, worker: Worker) -> int:
        """End all work, and leave the viewer as the person would; return how many accepts were not written."""
        # First: below, layers leave the viewer, and none of those left is to become the image.
        self.active.release()
        self.current.release()
        self.hover.release()
        self.everything.release()
        self.image_advisor.stop()
        self.series.release()
        self.editing.release()
        self.recovery.release()
        self.table.release()
        self.painting.release()
        self.live.release()
        # Before the prompt layers are given back: those that hold prompts again stay in the viewer.
        unwritten = self.accepts.release()
        self.targets.release()
        worker.close()
        self.recorder.close()
        # While the prompt layers are known: whether one of them is selected tells if the person chose another since.
        self.tools.restore_selection()
        self.editing.remove_layer()
        self.brush.release()
        self.prompt_layers.release_layers()
        self.preview.remove_layer()
        return unwritten
