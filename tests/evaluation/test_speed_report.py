from __future__ import annotations

import json
import runpy
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from napari_sam.errors import InputError
from napari_sam.evaluation.report.speed_files import docs_page, speed_markdown, write_speed_report
from napari_sam.evaluation.report.speed_plot import draw_speed
from napari_sam.evaluation.report.speed_tables import duration, speed_tables
from napari_sam.evaluation.speed.agreement import compare_answers
from napari_sam.evaluation.speed.report import (
    Agreement,
    FamilyTimes,
    FreshProcess,
    Growth,
    Machine,
    SpeedReport,
    Spread,
    TaskTimes,
)
from napari_sam.evaluation.speed.rounds import take_turns


def made_report(factor: float = 1.0, device: str = "CPU (2 threads)") -> SpeedReport:
    """Ours takes 2 s, the others 6 and 5, all times a factor."""
    times = {"sam_vit_b": [2.0, 2.0, 9.0], "segment-anything": [6.0] * 3, "transformers": [5.0] * 3}
    seconds = {name: Spread.of([factor * value for value in values]) for name, values in times.items()}
    rate = Spread.of([500e9])
    family = FamilyTimes(
        "sam_vit_b",
        "SAM ViT-B",
        tuple(times),
        (
            TaskTimes("embed 1024 x 1024", seconds, 900e9),
            TaskTimes("1 point", {name: seconds[name] for name in ("sam_vit_b", "transformers")}),
        ),
        rate,
        (Agreement("segment-anything", 0.9998, 0.012, 240.0, 27),),
    )
    measures = {key: Spread.of([factor * 1.5]) for key in ("import", "load", "embed", "predict", "first mask")}
    fresh = FreshProcess("sam_vit_b", measures | {"peak memory": Spread.of([1.5e9])})
    growth = Growth("embed, bundled", "pixels", "s", (1.0, 4.0, 16.0), (0.1, 0.4, 1.6))
    versions = {"python": "3.11", "torch": "2.9"}
    machine = Machine("A processor", "Linux", device, 2, 2, rate, Spread.of([20e9, 22e9]), versions)
    return SpeedReport("2026-11-27T10:00:00+00:00", machine, 3, (fresh,), (family,), (growth,), ("A note.",))


class TestTurns:
    def test_rounds_are_interleaved_and_every_second_one_goes_backwards(self):
        played = []
        results = take_turns("abc", 3, lambda player: played.append(player) or len(played))
        assert "".join(played) == "cbaabccbaabc"
        # The first round warms up.
        assert results == {"a": [4, 9, 10], "b": [5, 8, 11], "c": [6, 7, 12]}

    def test_without_warm_up_the_first_round_counts(self):
        assert take_turns("ab", 1, str.upper, warm_up=False) == {"a": ["A"], "b": ["B"]}

    def test_who_cannot_is_not_asked_again_and_keeps_what_it_did(self):
        played = []

        def play(player: str) -> int | None:
            played.append(player)
            return None if player == "b" and played.count("b") == 3 else 1

        assert take_turns("ab", 3, play) == {"a": [1, 1, 1], "b": [1]}
        assert played.count("b") == 3


class TestNumbers:
    def test_spread_is_median_and_extremes(self):
        assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0, 3)

    def test_ratio_is_of_medians_to_the_fastest_other(self):
        embed, click = made_report().families[0].tasks
        assert embed.ratio("sam_vit_b") == 2.5
        assert click.ratio("segment-anything") is None  # it was not measured
        assert TaskTimes("alone", {"bundled": Spread.of([1.0])}).ratio("bundled") is None

    def test_share_of_the_floor_is_the_least_time_over_ours(self):
        [family] = made_report().families
        assert family.share_of_floor(family.tasks[0]) == pytest.approx(0.9)  # 900 GFLOP at 500 GFLOP/s in 2 s
        assert family.share_of_floor(family.tasks[1]) is None

    @pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
    def test_exponent_is_the_slope_of_the_logarithms(self, power):
        sizes = (1.0, 3.0, 8.0, 20.0)
        growth = Growth("x", "y", "s", sizes, tuple(7 * size**power for size in sizes))
        assert growth.exponent == pytest.approx(power, abs=1e-9)

    def test_agreement_compares_every_mask(self, tmp_path):
        masks = np.zeros((2, 3, 4, 4), bool)
        masks[..., :2] = True
        logits = np.where(masks, 5.0, -8.0)
        np.savez(tmp_path / "a.npz", masks=masks, logits=logits)
        masks, logits = masks.copy(), logits.copy()
        masks[0, 0, :, 1] = False  # half of one of six
        logits[1, 2, 0, 0] += 0.5
        np.savez(tmp_path / "b.npz", masks=masks, logits=logits)
        found = compare_answers(tmp_path / "a.npz", tmp_path / "b.npz", "other")
        assert found == Agreement("other", pytest.approx(5.5 / 6), 0.5, 8.0, 6)


class TestJson:
    def test_report_comes_back(self):
        report = made_report()
        written = json.loads(json.dumps(report.to_json()))
        assert SpeedReport.from_json(written) == report
        [task, _click] = written["families"][0]["tasks"]
        assert task["ratio"] == 2.5 and task["share_of_floor"] == pytest.approx(0.9)
        assert written["growths"][0]["exponent"] == pytest.approx(1.0)

    @pytest.mark.parametrize("other", [{}, {"version": 99}])
    def test_something_else_is_refused(self, other):
        with pytest.raises(InputError, match="Run it again"):
            SpeedReport.from_json(other)


class TestWords:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [(0.00123, "1.2 ms"), (0.035, "35 ms"), (2.0, "2.00 s"), (16.44, "16.4 s"), (123.4, "123 s")],
    )
    def test_times_have_the_digits_that_count(self, seconds, words):
        assert duration(seconds) == words

    def test_tables_say_who_is_ours_the_ratio_and_the_share(self):
        _beside, fresh, family, agreement, growth = speed_tables(made_report())
        assert fresh.rows[0].heads == ("sam_vit_b (ours)",)
        assert fresh.rows[0].values[-2:] == ("1.50 s", "1.50 GB")
        assert family.columns == ("ours", "segment-anything", "transformers", "fastest other / ours", "share of floor")
        assert family.rows[0].values == ("2.00 s", "6.00 s", "5.00 s", "2.50", "90 %")
        assert family.rows[0].intervals[0] == "2.00 s to 9.00 s"
        assert family.rows[1].values == ("2.00 s", "-", "5.00 s", "2.50", "-")
        assert agreement.rows[0].values == ("0.9998", "0.01", "240", "27")
        assert growth.rows[0].values == ("1, 4, 16", "100 ms, 400 ms, 1.60 s", "1.00")

    def test_first_table_says_how_many_times_as_long_each_of_the_others_takes(self):
        report = made_report()
        [ours], [family] = report.fresh, report.families
        half = replace(ours, contender="bundled", measures={"first mask": Spread.of([0.75])})
        other = replace(ours, contender="transformers", measures={"first mask": Spread.of([6.0])})
        family = replace(family, contenders=(*family.contenders, "sam_vit_b, half precision"))
        beside = speed_tables(replace(report, fresh=(ours, half, other), families=(family,)))[0]
        assert beside.columns == ("segment-anything", "transformers")
        assert [(row.heads[0], row.values) for row in beside.rows] == [
            ("embed 1024 x 1024", ("3.0", "2.5")),
            ("first mask, ours with the bundled model", ("-", "8.0")),
            ("first mask", ("-", "4.0")),
            ("1 point", ("-", "2.5")),
        ]

    def test_without_others_there_is_no_such_table(self):
        report = made_report()
        [family] = report.families
        alone = replace(family, contenders=("sam_vit_b", "sam_vit_b, half precision"), agreements=())
        titles = [table.title for table in speed_tables(replace(report, families=(alone,)))]
        assert titles[0].startswith("Until the first mask")

    def test_page_says_of_a_gpu_that_was_not_there_that_it_was_not_measured(self):
        page = docs_page(made_report())
        assert "- GPU: not measured." in page
        assert "| 2.50 | 90 % | not measured |" in page and "| 1.50 GB | not measured |" in page
        assert "napari-sam benchmark speed --threads 2" in page

    def test_page_has_the_numbers_of_a_gpu(self):
        page = docs_page(made_report(), made_report(0.01, "CUDA (NVIDIA H100)"), "images/speed.svg")
        assert "not measured" not in page
        assert "- GPU: CUDA (NVIDIA H100), 2026-11-27." in page
        assert "| 2.50 | 90 % | 20 ms |" in page
        assert "](images/speed.svg)" in page

    def test_markdown_names_the_machine_and_notes(self):
        text = speed_markdown(made_report())
        for words in ("A processor, 2 cores", "500 GFLOP/s", "21.0 GB/s (20.0 to 22.0)", "torch 2.9", "- A note."):
            assert words in text
        assert "not measured" not in text and "![" not in text

    def test_folder_gets_words_numbers_and_pictures(self, tmp_path):
        report = made_report()
        written = write_speed_report(report, tmp_path / "new")
        assert [path.name for path in written] == ["speed.md", "speed.json", "speed.png", "speed.svg"]
        assert SpeedReport.from_json(json.loads(written[1].read_text())) == report
        assert "![Times of all packages](speed.png)" in written[0].read_text()
        assert all(path.stat().st_size > 5000 for path in written[2:])

    def test_plot_has_a_panel_below_another_and_cuts_no_name_off(self):
        figure = draw_speed(made_report())
        figure.canvas.draw()
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        assert len(boxes) == 3
        assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
        assert all(0 <= box.x0 and box.x1 <= figure.bbox.width for box in boxes)


class TestPage:
    """What `scripts/speed_page.py` writes into the documents."""

    ROOT = Path(__file__).parents[2]

    def test_script_writes_page_numbers_and_plot(self, tmp_path, monkeypatch):
        script = runpy.run_path(str(self.ROOT / "scripts" / "speed_page.py"))
        (tmp_path / "images").mkdir()
        (tmp_path / "speed.json").write_text(json.dumps(made_report().to_json()))
        monkeypatch.setitem(script["main"].__globals__, "DOCS", tmp_path)
        monkeypatch.setattr(sys, "argv", ["speed_page.py", str(tmp_path / "speed.json")])
        script["main"]()
        page = (tmp_path / "benchmarks.md").read_text()
        assert page == docs_page(made_report(), None, "images/benchmarks.png")
        assert page == script["page"](json.loads((tmp_path / "benchmarks.json").read_text()))
        assert (tmp_path / "images" / "benchmarks.png").stat().st_size > 5000
