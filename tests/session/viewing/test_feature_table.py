"""Classes of objects in the features of a Labels layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels

from napari_sam.session.viewing.feature_table import CLASS, begin_objects, noted_objects, read_column, set_classes


def layer(**features) -> Labels:
    return Labels(np.zeros((4, 4), int), features=features or None)


def test_rows_are_found_by_napari():
    labels = layer()
    set_classes(labels, {7: "b", 300: "a"})
    set_classes(labels, {7: "c", 1: "d"})
    table = labels.features
    assert dict(zip(table["index"], table["class"], strict=True)) == {7: "c", 300: "a", 1: "d"}
    assert labels._label_index == {7: 0, 300: 1, 1: 2}


def test_columns_that_are_there_stay():
    labels = layer(index=[5, 9], area=[3, 4], note=["x", "y"])
    set_classes(labels, {9: "b", 2: "a"})
    table = labels.features
    assert table["index"].tolist() == [5, 9, 2]
    assert table["class"].tolist() == ["", "b", "a"]
    assert table["area"][:2].tolist() == [3, 4]
    assert np.isnan(table["area"][2])
    assert table["note"][:2].tolist() == ["x", "y"]


def test_rows_without_an_index_are_those_of_their_numbers():
    labels = layer(area=[0, 3, 4])
    set_classes(labels, {1: "a", 4: "b"})
    assert "index" not in labels.features
    assert labels.features["class"].tolist() == ["", "a", "", "", "b"]
    assert labels.features["area"][:3].tolist() == [0, 3, 4]


@pytest.mark.parametrize("before", [[1, 2], ["q", None]])
def test_a_class_of_the_person_s_own_stays(before):
    labels = layer(**{"index": [5, 6], "class": before})
    set_classes(labels, {9: "a"})
    classes = labels.features["class"]
    assert [None if pd.isna(name) else name for name in classes] == [*before, "a"]
    assert read_column(labels, CLASS, [6, 9]) == [before[1] or "", "a"]


def test_ids_that_are_given_again_lose_theirs():
    labels = layer()
    set_classes(labels, {1: "a", 2: "b"})
    begin_objects(labels, [2, 3])
    assert labels.features["class"].tolist() == ["a", ""]
    assert labels.features["index"].tolist() == [1, 2]


def test_who_has_no_classes_gets_none():
    labels = layer(area=[0, 1])
    set_classes(labels, {})
    begin_objects(labels, [1])
    assert labels.features.columns.tolist() == ["area"]


def test_a_row_is_added_in_place_where_no_column_changes_its_type():
    labels = layer(index=[5, 9], area=[0.5, 2.0], note=["x", "y"])
    set_classes(labels, {9: "b"})
    table, told = labels.features, []
    labels.events.features.connect(lambda event: told.append(noted_objects(event)))
    set_classes(labels, {7: "a", 2: ""})
    assert labels.features is table
    assert labels.features["index"].tolist() == [5, 9, 2, 7]
    assert labels.features["index"].dtype == np.int64
    assert labels.features["class"].tolist() == ["", "b", "", "a"]
    assert labels._label_index == {5: 0, 9: 1, 2: 2, 7: 3}
    assert told == [(7, 2)]
    labels.features = {"index": [1]}
    assert told == [(7, 2), None]


def test_a_column_of_whole_numbers_is_added_to_by_napari():
    labels = layer(index=[5], count=[3])
    set_classes(labels, {5: "b"})
    table = labels.features
    set_classes(labels, {7: "a"})
    assert labels.features is not table
    assert labels.features["class"].tolist() == ["b", "a"]
    assert labels._label_index == {5: 0, 7: 1}


def test_many_rows_are_added_at_once():
    labels = layer()
    set_classes(labels, {1: "a"})
    set_classes(labels, {label: f"{label}" for label in range(2, 500)})
    assert labels.features["class"].tolist() == ["a", *(f"{label}" for label in range(2, 500))]
    assert len(labels._label_index) == 499
