"""Words as a prompt for a model that was trained to take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.errors import InputError
from napari_sam.model.text_projection import ClipSpace
from napari_sam.prompts import TextPrompt
from napari_sam.text.query import TEMPLATES

if TYPE_CHECKING:
    from napari_sam.text.encoder import TextImageEncoder


def text_prompt(encoder: TextImageEncoder, words: str) -> TextPrompt:
    """Embed a phrase.

    Parameters
    ----------
    encoder : TextImageEncoder
        The CLIP model that the predictor names in its `text_space`.
    words : str
        What the object is called, in English.

    Returns
    -------
    TextPrompt
        With the mean of the phrase's vectors in several sentences, as objects are ranked by.

    Raises
    ------
    InputError
        If there are no words.
    DeviceError
        If the device's memory runs out.
    """
    phrase = " ".join(words.split())
    if not phrase:
        raise InputError("The text is empty. Say in a word or two what to look for, such as round nucleus.")
    vectors = encoder.encode_text([template.replace("{}", phrase) for template in TEMPLATES])
    return TextPrompt(phrase, vectors.mean(0), encoder.clip)


def space_of(encoder: TextImageEncoder) -> ClipSpace:
    """Tell in which space the embeddings of a CLIP model lie: what a model that is trained on them remembers."""
    return ClipSpace(encoder.clip, encoder.source, encoder.encode_text(["object"]).shape[1])
