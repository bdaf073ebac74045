"""The layers in use, as scripts and panels get and choose them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sam.errors import InputError
from napari_sam.session import messages

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Points, Shapes

    from napari_sam.session.commands import CommandContext
    from napari_sam.session.components import Components
    from napari_sam.session.events import Listener
    from napari_sam.session.labels.targets import TargetOffer
    from napari_sam.session.snapshot import StatePublisher


class SessionLayers:
    """The layers in use, for scripts and panels.

    Parameters
    ----------
    components : Components
        The components of the session.
    context : CommandContext
        What making a layer is a command of.
    listener : Listener
        Listens to those that are chosen.
    publisher : StatePublisher
        Tells of what changes by that.
    """

    def __init__(
        self, components: Components, context: CommandContext, listener: Listener, publisher: StatePublisher
    ) -> None:
        self._components = components
        self._context = context
        self._listener = listener
        self._publisher = publisher

    def require_image(self) -> Image:
        """Return the image.

        Raises
        ------
        InputError
            If there is none, or the session ended.
        """
        if self._context.closed:
            raise InputError("This session is closed. Open another one.")
        if (image := self._components.active.image) is None:
            raise InputError(messages.NO_IMAGE)
        return image

    @property
    def points(self) -> Points:
        """The Points layer, which is made when it is asked for first."""
        image = self.require_image()
        if self._components.prompt_layers.points is None:
            # As a command: making the layer is nothing that the person drew.
            with self._context.command():
                self._components.prompt_layers.need_points(image)
        # A command leaves errors to the status; who asks for the layer gets them here.
        return self._components.prompt_layers.need_points(image)

    @property
    def shapes(self) -> Shapes:
        """The Shapes layer, which is made when it is asked for first."""
        image = self.require_image()
        if self._components.prompt_layers.shapes is None:
            with self._context.command():
                self._components.prompt_layers.need_shapes(image)
        # As above: an error reaches who asks.
        return self._components.prompt_layers.need_shapes(image)

    def adopt(self, layer: Any, kind: type[Layer]) -> None:
        """Work with a layer of the person's.

        Raises
        ------
        InputError
            If it is of another kind, or does not fit the image.
        """
        if not isinstance(layer, kind):
            raise InputError(f"This takes a {kind.__name__} layer; got {type(layer).__name__}.")
        self._components.prompt_layers.adopt_layer(layer, self.require_image())
        self._listener.connect_layers()
        self._listener.on_prompts_changed()  # what is drawn there counts at once

    def choose_target(self, layer: Labels | None) -> None:
        """Let accepted objects go to a layer; None: to a new one, made by the first accept.

        Raises
        ------
        InputError
            If it does not fit the image.
        """
        self._components.targets.choose_layer(layer, self.require_image())
        self._listener.connect_layers()
        self._publisher.publish()

    def require_preview(self) -> Labels:
        """Return the preview, on the plane on screen.

        Raises
        ------
        InputError
            If there is no plane that can be segmented.
        """
        image, view = self.require_image(), self._components.active.view
        if view is None:
            raise InputError(self._components.active.problem)
        return self._components.preview.need_layer(image, view, self._components.prompt_layers.present)

    @property
    def target(self) -> Labels | None:
        """Layer that accepted objects go to; None where there is none that fits."""
        image = self._components.active.image
        writer = None if image is None else self._components.targets.find_writer(image)
        return None if writer is None else writer.layer

    def target_choices(self) -> list[Labels]:
        """List the labels layers that can be the target, lowest first."""
        image, preview = self._components.active.image, self._components.preview.layer
        return [] if image is None else self._components.targets.list_choices(image, preview)

    def target_offers(self) -> list[TargetOffer]:
        """List the labels layers that could be it if they lay where the image is, lowest first."""
        image, preview = self._components.active.image, self._components.preview.layer
        return [] if image is None else self._components.targets.list_offers(image, preview)
