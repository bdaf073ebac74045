"""Which settings dense mode has where nobody chose any."""

from __future__ import annotations

import pytest
from fake_predictor import FakePredictor, discs

from napari_sam.automatic import DenseSettings, dense_settings_for, segment_everything
from napari_sam.automatic.settings import MICRO_SAM

LABELS = discs((60, 80), (20, 20, 9), (40, 55, 2.5))
"""A large disc, and one of 21 pixels, which is less than micro-sam's authors count."""


class Viewed(FakePredictor):
    """Remembers how many views were asked for."""

    def dense(self, embedding, views=1, progress=None):
        self.views = views
        return super().dense(embedding, views, progress)


@pytest.mark.parametrize(("most_views", "settings", "objects"), [(4, DenseSettings(), 2), (1, MICRO_SAM, 1)])
def test_they_are_those_of_the_kind_of_dense_head(most_views, settings, objects):
    predictor = Viewed(LABELS)
    predictor.dense_views = most_views
    assert dense_settings_for(predictor) == settings
    assert segment_everything(predictor, predictor.embedding).max() == objects
    assert predictor.views == most_views
