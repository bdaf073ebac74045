"""The border between numpy and torch: planes and prompts in, masks out.

Unlike ``SamPredictor.set_image`` of segment-anything there is no current image: `Predictor.embed` returns an
`Embedding`, and `Predictor.predict` takes one. Many can be alive at once, and none can be mistaken for another.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from napari_sam._conflict import refuse_conflict
from napari_sam.device import (
    choose_device,
    describe_device,
    devices_without_code,
    has_no_code,
    is_out_of_memory,
)
from napari_sam.embedding import Embedding as Embedding
from napari_sam.embedding import embedding_key, encode_plane, encoder_dtype, plane_key
from napari_sam.errors import DeviceError, InputError
from napari_sam.model.precision import require_precision
from napari_sam.model.protocol import DenseModel, MaskDrawingModel, RefiningModel, TextPromptable
from napari_sam.planes.plane import Plane
from napari_sam.progress import no_progress
from napari_sam.prompt_tensors import prompt_tensors, require_answerable, require_kind
from napari_sam.prompts import PromptSet
from napari_sam.prompts.model_prompts import mask_prompt, model_prompts
from napari_sam.remote.addresses import device_here, is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from os import PathLike

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sam.checkpoints.registry import ModelSpec
    from napari_sam.geometry import Frame
    from napari_sam.model.protocol import Features, PromptableModel, PromptKind
    from napari_sam.model.text_projection import ClipSpace
    from napari_sam.progress import Progress
    from napari_sam.prompts import MaskPrompt, PaintPrompt, Prompt
    from napari_sam.prompts.model_prompts import ModelPrompts
    from napari_sam.remote.encoder import RemoteEncoder

R = TypeVar("R")

_ENDLESS = 1 << 20  # pixels: a side that every model has to shrink

_MOST_TOGETHER = 16  # objects: more at a time are no quicker
_MOST_VALUES = 1 << 25  # float32 logits on the plane, at a time: 128 MiB


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The model's answer to one set of prompts, best candidate first.

    Attributes
    ----------
    masks : numpy.ndarray, shape (n, H, W), bool
        Candidate masks on the plane.
    scores : numpy.ndarray, shape (n,), float32
        The model's own estimate of each mask's IoU with the object meant.
    logits : numpy.ndarray, shape (n, h, w), float32
        Low-resolution logits, positive inside; one of them makes a `MaskPrompt` for the next prediction on the same
        plane.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class DenseMaps:
    """What a model sees on a plane before anybody points at anything.

    Attributes
    ----------
    foreground : numpy.ndarray, shape (H, W), float32
        Probability that the pixel belongs to an object.
    centre : numpy.ndarray, shape (H, W), float32
        Distance to the object's centre, as a share of its farthest pixel's; 1 in the background.
    border : numpy.ndarray, shape (H, W), float32
        Nearness to the object's border: 1 at the border and in the background, 0 where the object is deepest.
    """

    foreground: NDArray[np.float32]
    centre: NDArray[np.float32]
    border: NDArray[np.float32]


class Predictor:
    """A model with its weights, on a device. Make one with `load_predictor`.

    Safe to use from several threads; calls run one at a time.

    Parameters
    ----------
    model : PromptableModel
        The network, already on a device, in evaluation mode.
    weights : str
        Digest of its weights.
    name : str
        What to call it in messages.
    fall_back : bool
        Whether to go on on the CPU, with a warning, when a device's memory runs out.
    notes : tuple of str
        What a person should know about the checkpoint.
    encoder : RemoteEncoder, optional
        Encodes planes on another machine; where it cannot, they are encoded here, with a warning.
    notice : str
        What a person should know about the device.
    """

    def __init__(
        self,
        model: PromptableModel,
        weights: str,
        *,
        name: str = "model",
        fall_back: bool = True,
        notes: tuple[str, ...] = (),
        encoder: RemoteEncoder | None = None,
        notice: str = "",
    ) -> None:
        self._model = model
        self._encoder = encoder
        self._fall_back = fall_back
        self._lock = threading.RLock()
        self.weights, self.name, self.notes = weights, name, notes
        self._fallen = notice

    @property
    def notice(self) -> str:
        """What the person should know, such as a fall-back to the CPU; "" when there is nothing."""
        return " ".join(filter(None, ("" if self._encoder is None else self._encoder.notice, self._fallen)))

    @property
    def device(self) -> torch.device:
        """Where the model runs now."""
        return self._model.device

    @property
    def device_text(self) -> str:
        """Words for the device, such as "CPU (2 threads)"; of another machine, if planes are encoded there."""
        if self._encoder is not None and not self._encoder.notice:
            return self._encoder.text
        return describe_device(self.device, encoder_dtype(self._model))

    @property
    def prompt_kinds(self) -> frozenset[PromptKind]:
        """Kinds of prompts that the model was trained with."""
        return self._model.prompt_kinds

    @property
    def has_text_prompt(self) -> bool:
        """Whether the checkpoint was trained to take words: a `TextPrompt` with an embedding of `text_space`."""
        return "text" in self.prompt_kinds

    @property
    def text_space(self) -> ClipSpace | None:
        """The CLIP model whose embeddings are taken as words; None without a text prompt."""
        return self._model.text_space if isinstance(self._model, TextPromptable) else None

    @property
    def canvas_side(self) -> int:
        """Longest side of a plane, in model pixels, up to which the model sees every pixel."""
        return max(self._model.frame((_ENDLESS, _ENDLESS)).content)

    def grid(self, plane: Plane) -> tuple[Frame, tuple[int, int]]:
        """Return where a plane lies on the canvas, and the (h, w) of the logits that it is answered with."""
        frame = self._model.frame(plane.shape, plane.spacing)
        return frame, self._model.logits_shape(frame)

    @property
    def has_dense_head(self) -> bool:
        """Whether `dense` works: whether the model was trained to find objects without prompts."""
        return self.dense_views > 0

    @property
    def dense_views(self) -> int:
        """How many views `dense` can average; 0 without a dense head."""
        return self._model.most_views if isinstance(self._model, DenseModel) else 0

    def embed(
        self,
        image: NDArray[np.generic] | Plane,
        *,
        contrast_limits: tuple[float, float] | None = None,
        gamma: float = 1.0,
        spacing: tuple[float, float] = (1.0, 1.0),
        progress: Progress = no_progress,
    ) -> Embedding:
        """Run the image encoder on one plane.

        Parameters
        ----------
        image : numpy.ndarray, shape (H, W), (H, W, 3) or (H, W, 4), or Plane
            Grey or RGB(A), any real dtype. A `Plane` carries its own window and spacing; the options below then stay
            at their defaults.
        contrast_limits, gamma, spacing
            See `napari_sam.planes.plane.Plane`.
        progress : Progress
            Called with the fraction done; may raise `Cancelled`.

        Returns
        -------
        Embedding

        Raises
        ------
        InputError
            If the image cannot be used.
        DeviceError
            If the device's memory runs out and there is no falling back.
        """
        plane = image if isinstance(image, Plane) else Plane(image, contrast_limits, gamma, spacing)
        frame, key = self._model.frame(plane.shape, plane.spacing), self.key(plane)
        if self._encoder is not None:
            # Without the lock: other planes are answered meanwhile. The precision is the other machine's choice.
            packed = self._encoder.encode(plane, embedding_key(self.weights, frame, plane), progress)
            if packed is not None:
                return Embedding.unpack(replace(packed, key=key), self.device)
        features = self.run(lambda model: encode_plane(model, plane, frame, progress))
        return Embedding(key, self.weights, frame, features)

    def key(self, plane: Plane) -> str:
        """Return the key that the embedding of a plane has, without computing it."""
        return plane_key(self._model, self.weights, plane)

    def predict(
        self, embedding: Embedding, prompts: PromptSet | Iterable[Prompt], *, multimask: bool | None = None
    ) -> Prediction:
        """Answer the prompts for one object.

        Parameters
        ----------
        embedding : Embedding
            From `embed` of a predictor with the same weights.
        prompts : PromptSet or iterable of Prompt
            At least one; positions in data pixels, (y, x), at most one box, one mask and one text.
        multimask : bool, optional
            Three candidates (True) or one (False). Default: three for a single point and nothing else, which is
            ambiguous, else one.

        Returns
        -------
        Prediction

        Raises
        ------
        InputError
            If there is no prompt, one lies outside the plane, the model does not take its kind, or the embedding is
            another model's.
        DeviceError
            If the device's memory runs out and there is no falling back.
        """
        _require_weights(embedding, self)
        given = PromptSet.of(prompts)
        taken = self._taken(given, embedding.frame)
        several = given.ambiguous if multimask is None else multimask
        return self.compute(embedding, partial(_decoded, taken=[taken], multimask=several, refined=True))[0]

    def predict_many(
        self,
        embedding: Embedding,
        prompt_sets: Iterable[PromptSet | Iterable[Prompt]],
        *,
        multimask: bool = False,
        most: int | None = None,
    ) -> Iterator[Prediction]:
        """Answer the prompts for many objects, several at a time.

        The bundled model does not refine its answers to clicks, as it does in `predict`.

        Parameters
        ----------
        embedding : Embedding
            From `embed` of a predictor with the same weights.
        prompt_sets : iterable of PromptSet, or of iterables of Prompt
            One set for each object, as for `predict`. All have a box or none has, and so with masks and words.
        multimask : bool
            Three candidates (True) or one (False).
        most : int, optional
            How many candidates to give, the best ones; default all. Fewer take less time.

        Yields
        ------
        Prediction
            For each set, in their order. Only a few are in memory at a time.

        Raises
        ------
        InputError, DeviceError
            As `predict`, on the first step; also if the sets differ in kind.
        """
        _require_weights(embedding, self)
        taken = [self._taken(PromptSet.of(prompts), embedding.frame) for prompts in prompt_sets]
        if len({(one.prompts.box is None, one.prompts.mask is None, one.prompts.text is None) for one in taken}) > 1:
            raise InputError("Objects answered together must all have a box or none, and so with masks and words.")
        height, width = embedding.shape
        # Masks of full size are what takes memory, not the decoder.
        together = max(1, min(_MOST_TOGETHER, _MOST_VALUES // (height * width * (most or 3))))
        for start in range(0, len(taken), together):
            some = taken[start : start + together]
            yield from self.compute(embedding, partial(_decoded, taken=some, multimask=multimask, most=most))

    def mask_prompt(self, plane: Plane, mask: NDArray[np.bool_]) -> MaskPrompt:
        """Make a prompt of a mask, (H, W) bool, that was not predicted on this plane: one of a neighbouring plane, say.

        The plane is not embedded. See `napari_sam.prompts.model_prompts.mask_prompt`.
        """
        frame, grid = self.grid(plane)
        return mask_prompt(mask, frame, grid)

    def dense(self, embedding: Embedding, views: int = 1, progress: Progress = no_progress) -> DenseMaps:
        """Tell where objects are, without prompts.

        Parameters
        ----------
        embedding : Embedding
            From `embed` of a predictor with the same weights.
        views : int
            How many mirror images of the plane are averaged, 1 to 4: more take longer, and are more exact.
        progress : Progress
            Called with the fraction done; may raise `Cancelled`.

        Returns
        -------
        DenseMaps

        Raises
        ------
        InputError
            If the model has no dense head (`has_dense_head`), or the embedding is another model's.
        DeviceError
            If the device's memory runs out and there is no falling back.
        """
        return self.compute(embedding, partial(_dense, views=views, progress=progress, name=self.name))

    def compute(self, embedding: Embedding, work: Callable[[PromptableModel, Features, Frame], R]) -> R:
        """Have a function compute with the model, and the features and the frame of a plane, in turn with other calls.

        It is called again on the CPU where the device cannot. Gives what it returns; raises what it raises, and errors
        as `predict`.
        """
        _require_weights(embedding, self)

        def on_device(model: PromptableModel) -> R:
            # After a fall-back to the CPU, embeddings from before are still on the device that ran out of memory.
            features = tuple(f.to(self.device) for f in embedding.features)
            return work(model, features, embedding.frame)

        with torch.inference_mode():
            return self.run(on_device)

    def _taken(self, prompts: PromptSet, frame: Frame) -> ModelPrompts:
        """Say as the model takes it what a person said, or refuse what it cannot answer."""
        grid = self._model.logits_shape(frame)
        taken = model_prompts(prompts, frame, self.prompt_kinds, grid)
        require_answerable(taken.prompts, frame, self.prompt_kinds, grid, self.name, self.text_space)
        return taken

    def require_kind(self, kind: PromptKind) -> None:
        """Refuse a kind of prompt that the model does not take.

        Raises
        ------
        InputError
            If it does not.
        """
        require_kind(kind, self.prompt_kinds, self.name)

    def run(self, work: Callable[[PromptableModel], R]) -> R:
        """Do some work with the model, in turn with all other calls; on the CPU if the device cannot do it."""
        with self._lock:
            try:
                return work(self._model)
            except RuntimeError as error:
                words = _unfit(self.device, error)
                if not words:
                    raise
                if not self._fall_back:
                    raise DeviceError(f'{words}. Close other programs that use it, or choose device "cpu".') from error
            # Outside the except block, so that the traceback no longer holds the tensors that filled the memory.
            _move_to_cpu(self._model, self.name, words)
            self._fallen = f"{words}: {self.name} now runs on the CPU, which is slower."
            warnings.warn(self._fallen, RuntimeWarning, stacklevel=3)
            return work(self._model)


def load_predictor(
    model: str | PathLike[str] = "bundled", device: str = "auto", *, progress: Progress = no_progress
) -> Predictor:
    """Load a model, ready to embed and predict.

    Parameters
    ----------
    model : str or path
        A name of `napari_sam.list_models`, or the path of a checkpoint. Weights that are not on disk are downloaded.
    device : str
        "auto" (CUDA, else MPS, else XPU, else CPU; falls back to the CPU with a warning when memory runs out), a torch
        device such as "cuda:1", or the address of a Dask scheduler, ``tcp://HOST:8786``: one of its workers encodes
        planes, and the best device of this machine does the rest.
    progress : Progress
        Called with the fraction of a download that is done; may raise `Cancelled`.

    Returns
    -------
    Predictor

    Raises
    ------
    WeightsError
        If the checkpoint is missing, damaged or of an unknown layout, or cannot be downloaded.
    DeviceError
        If the device does not exist here; if no scheduler answers at the address within a few seconds, or its workers
        have no such model, other weights of it or another version of this package.
    InputError
        If the environment asks for a precision that there is not.
    ConflictError
        If the abandoned plugin ``napari-sam`` is installed beside this one.
    """
    from napari_sam.checkpoints.loading import load_checkpoint
    from napari_sam.checkpoints.weights import resolve

    refuse_conflict()
    require_precision()
    chosen = choose_device(device_here(device))
    encoder = None
    if is_address(device):
        from napari_sam.remote.encoder import RemoteEncoder

        # Before a download, which may take long: an address that is wrong is told at once.
        encoder = RemoteEncoder(device)
    path, spec = resolve(model, progress=progress)
    loaded = load_checkpoint(path, architecture=spec.architecture if spec is not None else None, device=chosen)
    if encoder is not None:
        encoder.use_model(model, loaded.digest, progress)
    return Predictor(
        loaded.model,
        loaded.digest,
        name=spec.title if spec is not None else path.name,
        fall_back=device == "auto" or encoder is not None,
        notes=loaded.notes + _missing_decoder(spec),
        encoder=encoder,
        notice=devices_without_code() if device == "auto" and chosen.type == "cpu" else "",
    )


def draw_masks(
    predictor: Predictor, plane: Plane, logits: NDArray[np.float32], threshold: float = 0.0
) -> NDArray[np.bool_]:
    """Draw low-resolution logits on their plane again, as `Predictor.predict` does it. The plane is not embedded.

    Parameters
    ----------
    predictor : Predictor
        What predicted them.
    plane : Plane
        What they were predicted on.
    logits : numpy.ndarray, shape (n, h, w), float32
        ``Prediction.logits``.
    threshold : float
        Logit above which a pixel is inside.

    Returns
    -------
    numpy.ndarray, shape (n, H, W), bool
    """
    frame, _shape = predictor.grid(plane)

    def drawn(model: PromptableModel) -> NDArray[np.bool_]:
        given = torch.from_numpy(np.ascontiguousarray(logits, dtype=np.float32))[None].to(model.device)
        masks: NDArray[np.bool_] = _masks(model, given, frame, threshold)[0]
        return masks

    with torch.inference_mode():
        return predictor.run(drawn)


def _missing_decoder(spec: ModelSpec | None) -> tuple[str, ...]:
    """Say what a model could do if the second file that is published with it were here."""
    from napari_sam.checkpoints.decoders import is_missing

    if spec is None or not is_missing(spec):
        return ()
    return (
        f"{spec.title} finds objects by a grid of points here. Its decoder finds them quicker, and is not on this "
        f"machine: `napari-sam models download {spec.name}` gets it.",
    )


def _require_weights(embedding: Embedding, predictor: Predictor) -> None:
    if embedding.weights != predictor.weights:
        raise InputError(
            f"This embedding was made with other weights than those of {predictor.name}. Embed the image again."
        )


def _decoded(
    model: PromptableModel,
    features: Features,
    frame: Frame,
    *,
    taken: Sequence[ModelPrompts],
    multimask: bool,
    most: int | None = None,
    refined: bool = False,
) -> list[Prediction]:
    """Decode, and put the candidates of each object in the order of their scores, the best `most` of them."""
    tensors = prompt_tensors([one.prompts for one in taken], frame, model.device)
    decode = model.decode_refined if refined and isinstance(model, RefiningModel) else model.decode
    decoded = decode(features, tensors, frame, multimask=multimask)
    # Stable, so that equal scores come in the same order on every device.
    order = decoded.scores.argsort(dim=1, descending=True, stable=True)[:, :most]
    logits = decoded.logits[torch.arange(len(order), device=order.device)[:, None], order]
    masks = _masks(model, logits, frame)
    scores = decoded.scores.take_along_dim(order, 1).float().cpu().numpy()
    found = [Prediction(*parts) for parts in zip(masks, scores, logits.float().cpu().numpy(), strict=True)]
    return [
        _painted(_without(prediction, one.excluded), one.paint) for prediction, one in zip(found, taken, strict=True)
    ]


def _masks(model: PromptableModel, logits: Tensor, frame: Frame, threshold: float = 0.0) -> NDArray[np.bool_]:
    """Draw (B, n, h, w) logits on the plane: (B, n, H, W)."""
    if isinstance(model, MaskDrawingModel):
        drawn = model.masks(logits, frame, threshold)
    else:
        drawn = model.upscale(logits, frame) > threshold
    masks: NDArray[np.bool_] = drawn.cpu().numpy()
    return masks


def _without(found: Prediction, excluded: NDArray[np.bool_] | None) -> Prediction:
    """Take off every mask what the person said does not belong to the object, whatever the model says."""
    return found if excluded is None else replace(found, masks=found.masks & ~excluded)


def _painted(found: Prediction, paint: PaintPrompt | None) -> Prediction:
    """Lay what the person painted over every mask, whatever the model says."""
    if paint is None:
        return found
    plane = found.masks.shape[1], found.masks.shape[2]
    added, erased = (boxed.whole() for boxed in paint.on_plane(plane))
    return replace(found, masks=(found.masks | added) & ~erased)


def _dense(
    model: PromptableModel, features: Features, frame: Frame, *, views: int, progress: Progress, name: str
) -> DenseMaps:
    """Read the dense maps of a plane out of its features."""
    if not isinstance(model, DenseModel):
        raise InputError(
            f"{name} has no dense head: it answers prompts only. Use grid mode, or choose the bundled model."
        )
    return DenseMaps(*model.dense_maps(features, frame, views, progress).float().cpu().numpy())


def _unfit(device: torch.device, error: RuntimeError) -> str:
    """Say in words why a device cannot do some work that another may; "" if the error has nothing to do with it."""
    if device.type == "cpu":
        return ""
    if is_out_of_memory(error):
        return f"{describe_device(device)} ran out of memory"
    if has_no_code(error):
        return f"{describe_device(device)} is a device that the installed PyTorch has no code for"
    return ""


def _move_to_cpu(model: PromptableModel, name: str, words: str) -> None:
    """Move a model off a device that cannot run it; `words` say which, and why."""
    if not isinstance(model, torch.nn.Module):
        raise DeviceError(f"{words}, and {name} cannot be moved to the CPU.")
    kind = model.device.type
    model.to("cpu")
    # Else the memory would stay with this process, though other programs need it.
    if kind == "cuda":
        torch.cuda.empty_cache()
