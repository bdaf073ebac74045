from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from napari_sam.errors import InputError
from napari_sam.training.log_plot import PICTURE, draw_log, read_log, smooth
from napari_sam.training.loop import LOG


def write(folder, *lines) -> None:
    (folder / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))


def step(number: int, **more: float) -> dict[str, float]:
    losses = {"first": 3 / number, "last": 2 / number, "dense": 1 / number}
    return {"step": number, "seconds": 10.0 * number} | losses | {"norm": 5.0, "rate": 1e-4} | more


def check(number: int, score: float) -> dict[str, float]:
    return {"step": number, "seconds": 1.0, "check 1 click": score, "check unseen box": score, "check score": score}


def coloured(picture) -> int:
    """Pixels of a saturated colour: those of curves."""
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    return int(((pixels.max(2) - pixels.min(2)) > 60).sum())


def test_the_picture_shows_what_the_log_holds(tmp_path):
    write(tmp_path, *(step(n, click=0.5, box=math.nan if n == 3 else 0.7) for n in range(1, 30)), check(29, 0.4))
    picture = draw_log(tmp_path / LOG)
    assert picture == tmp_path / PICTURE
    whole = coloured(picture)
    write(tmp_path, *(step(n) for n in range(1, 30)))
    assert 500 < coloured(draw_log(tmp_path / LOG)) < whole
    assert [file.name for file in tmp_path.glob("log.png*")] == [PICTURE]


@pytest.mark.parametrize("lines", [[step(1)], [check(1, 0.5)], [step(1), check(1, 0.5), check(2, 0.4)]])
def test_short_logs_are_drawn(tmp_path, lines):
    write(tmp_path, *lines)
    assert draw_log(tmp_path / LOG, tmp_path / "p.png").stat().st_size > 5000


class TestReading:
    def test_what_was_done_over_again_counts_once(self, tmp_path):
        write(tmp_path, step(1), step(2), step(3, rate=1.0), check(3, 0.9), step(2, rate=2.0), step(3, rate=3.0))
        assert [(line["step"], line["rate"]) for line in read_log(tmp_path / LOG)][1:] == [
            (2, 1e-4),
            (2, 2.0),
            (3, 3.0),
        ]

    def test_half_a_line_at_the_end_does_not_count(self, tmp_path):
        write(tmp_path, step(1), step(2))
        with (tmp_path / LOG).open("a") as stream:
            stream.write('{"step": 3, "fir')
        assert len(read_log(tmp_path / LOG)) == 2

    def test_what_cannot_be_read_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="no log"):
            read_log(tmp_path / LOG)
        (tmp_path / LOG).write_text("")
        with pytest.raises(InputError, match="empty"):
            read_log(tmp_path / LOG)
        (tmp_path / LOG).write_text('no JSON\n{"step": 1}\n')
        with pytest.raises(InputError, match="Line 1"):
            read_log(tmp_path / LOG)


def test_smoothing_keeps_means_and_ends():
    line = np.linspace(0, 1, 200)
    assert np.abs(smooth(line) - line).max() < 0.02
    noise = np.random.default_rng(0).standard_normal(2000)
    assert smooth(noise).std() < 0.25
    assert smooth(np.array([3.0])).tolist() == [3.0]
