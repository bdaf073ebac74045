from __future__ import annotations

import pytest

from napari_sam.errors import InputError
from napari_sam.text.query import BACKGROUND, TEMPLATES, TextQuery


def test_words_are_phrases_then_negatives_then_background():
    query = TextQuery(("  round   nucleus ",), ("debris",))
    assert query.words == ("round nucleus", "debris", *BACKGROUND)
    assert query.sentences()[1] == tuple(template.format("debris") for template in TEMPLATES)


def test_background_that_is_asked_for_is_no_background():
    assert TextQuery(("background",)).words == ("background", "blur")
    assert TextQuery(("cell",), ("blur",)).words == ("cell", "blur", "background")


def test_braces_of_a_phrase_are_words():
    assert TextQuery(("{0}",), templates=("a {}",)).sentences()[0] == ("a {0}",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"phrases": ()}, "A phrase is empty"),
        ({"phrases": ("cell", " ")}, "A phrase is empty"),
        ({"phrases": ("cell",), "negatives": ("",)}, "A phrase is empty"),
        ({"phrases": ("cell", "cell")}, "asked for twice"),
        ({"phrases": ("cell",), "negatives": ("cell",)}, "asked for twice"),
        ({"phrases": ("cell",), "background": ()}, "nothing to compete with"),
        ({"phrases": ("cell",), "templates": ()}, "A template is"),
        ({"phrases": ("cell",), "templates": ("a cell",)}, "A template is"),
    ],
)
def test_queries_that_ask_nothing_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        TextQuery(**arguments)
