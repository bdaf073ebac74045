"""What is kept: only what is better on images that were not learnt from."""

from __future__ import annotations

import pytest

from napari_sam.training.finetune.verdict import judge, loss


def numbers(clicks, found=None):
    values = {"1 click": clicks, "3 clicks": clicks, "box": clicks, "objects": 20.0}
    return values if found is None else values | {"AP@50": found}


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (numbers(0.60), numbers(0.70), True),
        (numbers(0.60), numbers(0.60), False),
        (numbers(0.60), numbers(0.602), False),
        (numbers(0.60), numbers(0.50), False),
        (numbers(0.60, 0.3), numbers(0.70, 0.5), True),
        # Prompts as before, and more is found.
        (numbers(0.60, 0.3), numbers(0.60, 0.5), True),
        # What is gained for clicks is paid for with what is found by itself, or the other way round.
        (numbers(0.60, 0.5), numbers(0.70, 0.3), False),
        (numbers(0.60, 0.3), numbers(0.50, 0.5), False),
        # Nothing was measured: nothing says that it is better.
        ({"objects": 0.0}, {"objects": 0.0}, False),
    ],
)
def test_it_is_better_where_it_is_on_other_images(before, after, better):
    assert judge(before, after).better is better


def test_the_words_have_the_numbers():
    words = judge(numbers(0.6, 0.3), numbers(0.7, 0.5)).words
    assert words.startswith("Better on images that it has not seen")
    assert "0.600 -> 0.700" in words
    assert "0.300 -> 0.500" in words
    assert judge(numbers(0.6), numbers(0.5)).words.startswith("Not better")
    assert "not known" in judge({"objects": 0.0}, {"objects": 0.0}).words


def test_what_is_as_good_on_labels_elsewhere_is_not_better():
    before, after = numbers(0.4), numbers(0.52)
    assert judge(before, after).better
    assert judge(before, after, elsewhere=0.45).better
    verdict = judge(before, after, elsewhere=0.49)
    assert not verdict.better
    assert verdict.words.startswith("Not better: it answers clicks and boxes as well where labels are moved")
    assert "(0.490)" in verdict.words
    assert "(0.520)" in verdict.words
    # What finds them without a prompt has looked.
    assert judge(numbers(0.4, 0.1), numbers(0.52, 0.2), elsewhere=0.49).better
    assert not judge(numbers(0.4, 0.0), numbers(0.52, 0.0), elsewhere=0.49).better


def test_a_part_of_one_image_is_no_other_image():
    for now, begin in ((0.7, "Better"), (0.5, "Not better")):
        words = judge(numbers(0.6), numbers(now), same_image=True).words
        assert words.startswith(f"{begin} on a part of the image that it has not learnt from")
        assert "images that it has not seen" not in words


def test_what_is_forgotten_is_the_fall_on_the_samples():
    assert loss(numbers(0.8), numbers(0.75)) == pytest.approx(0.05)
    assert loss(numbers(0.8), numbers(0.85)) == 0
    assert loss({}, {}) == 0
