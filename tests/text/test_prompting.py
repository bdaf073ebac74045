from __future__ import annotations

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.text.prompting import space_of, text_prompt
from napari_sam.text.query import TEMPLATES
from tiny_clip import coloured_pictures


def test_words_become_one_vector_of_length_one(encoder):
    prompt = text_prompt(encoder, "  red   cell ")
    assert prompt.words == "red cell"
    assert prompt.clip == "tiny"  # the folder's name, not its path
    vectors = encoder.encode_text([template.format("red cell") for template in TEMPLATES])
    mean = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
    np.testing.assert_allclose(prompt.embedding, mean, atol=1e-6)


def test_words_lie_near_what_they_describe(encoder):
    pictures, kinds = coloured_pictures(np.random.default_rng(7), 40)
    seen = encoder.encode_images(list(pictures))
    words = np.stack([text_prompt(encoder, name).embedding for name in ("red", "green", "blue")])
    coloured = kinds < 3
    assert np.mean((seen @ words.T).argmax(1)[coloured] == kinds[coloured]) > 0.9


def test_no_words(encoder):
    with pytest.raises(InputError, match="text is empty"):
        text_prompt(encoder, " ")


def test_the_space_is_named_and_as_wide_as_its_vectors(encoder):
    space = space_of(encoder)
    assert (space.model, space.source, space.width) == ("tiny", "", 16)
