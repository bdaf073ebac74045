import numpy as np

from napari_sam.automatic.calibration import PlaneEvidence, rank_planes


def plane(place: int, *looks: float, doubt: float | None = 0.0) -> PlaneEvidence:
    return PlaneEvidence(place, np.array(looks, np.float64), doubt)


def places(planes, annotated=()) -> list[int]:
    return [one.place for one in rank_planes(planes, [np.array(looks, np.float64) for looks in annotated])]


def test_of_planes_that_look_alike_the_most_doubtful_comes_first():
    assert places([plane(0, 1, 1, doubt=0.2), plane(1, 1, 1, doubt=0.7), plane(2, 1, 1, doubt=0.5)]) == [1, 2, 0]


def test_of_planes_without_doubt_the_one_that_looks_least_like_the_annotated_comes_first():
    planes = [plane(4, 0.1, 0), plane(5, 5, 5), plane(6, 2, 2)]
    ranking = rank_planes(planes, [np.zeros(2)])
    assert ranking[0].place == 5
    assert ranking[0].novelty == 1
    assert ranking[-1].place == 4


def test_the_twin_of_the_best_plane_comes_late():
    planes = [plane(0, 5, 5, doubt=0.9), plane(1, 5, 5, doubt=0.8), plane(2, 0, 6, doubt=0.5), plane(3, 0, 0)]
    assert places(planes, [(0, 0)]) == [0, 2, 1, 3]


def test_all_planes_are_ranked_once():
    chance = np.random.default_rng(0)
    planes = [plane(place, *chance.normal(size=6), doubt=chance.random()) for place in range(30)]
    assert sorted(places(planes, [chance.normal(size=6)])) == list(range(30))


def test_a_plane_nobody_looked_at_is_as_doubtful_as_the_others():
    ranking = rank_planes([plane(0, 1, doubt=None), plane(1, 1, doubt=0.6), plane(2, 1, doubt=0.2)], [])
    assert {one.place: one.doubt for one in ranking} == {0: 0.4, 1: 0.6, 2: 0.2}


def test_numbers_that_are_not_known_and_their_scale_do_not_count():
    known = [plane(0, 1, 10), plane(1, 2, 30), plane(2, 3, 20)]
    padded = [plane(0, 1000, 10, np.nan), plane(1, 2000, 30, 4), plane(2, 3000, 20, 5)]
    assert places(known, [(1, 10)]) == places(padded, [(1000, 10, 6)])


def test_nothing_to_choose_from_is_no_ranking():
    assert rank_planes([], [np.zeros(3)]) == []
