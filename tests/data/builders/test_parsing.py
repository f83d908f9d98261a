import numpy as np
import pytest

from mixup_jax.data.builders import parsing
from mixup_jax.data.builders.tables import TABLES
from mixup_jax.errors import UsageError
from tests.data import miniature

IRIS = TABLES["iris"]._replace(errata={})
ROW = b"5.1,3.5,1.4,0.2,Iris-setosa\n"


def read_iris(content):
    return parsing.read_part(IRIS, "train", {"iris.data": content})


@pytest.mark.parametrize("name", miniature.NAMES)
def test_rows_and_labels_come_out_as_they_were_written(name):
    table, contents, expected = miniature.make(name)
    parts = [parsing.read_part(table, part, contents) for part in table.parts]
    np.testing.assert_array_equal(
        np.concatenate([part.inputs for part in parts]), expected.inputs
    )
    labels = np.concatenate([part.labels for part in parts])
    np.testing.assert_array_equal(labels, expected.labels)
    assert labels.dtype == np.int32


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["unix", "windows", "mac"])
def test_any_line_ends_and_trailing_blanks_will_do(end):
    got = read_iris(ROW.strip() + end + b" 1, 2,3,4 , Iris-virginica  " + end + end)
    np.testing.assert_allclose(got.inputs, [[5.1, 3.5, 1.4, 0.2], [1, 2, 3, 4]])
    assert got.labels.tolist() == [0, 2]


def test_labels_are_numbered_by_a_fixed_list_with_no_empty_class():
    abalone, arrhythmia = TABLES["abalone"], TABLES["arrhythmia"]
    assert len(abalone.classes) == 28
    assert abalone.classes.index("1") == 0 and abalone.classes.index("29") == 27
    assert len(arrhythmia.classes) == 13
    assert arrhythmia.classes.index("14") == 10
    assert TABLES["arcene"].classes == ("-1", "1")
    assert TABLES["phishing"].classes == ("-1", "0", "1")
    assert TABLES["htru2"].classes == ("0", "1")


def test_the_errata_of_iris_are_worked_in_whichever_version_is_read():
    table, contents, expected = miniature.make("iris")
    np.testing.assert_allclose(expected.inputs[34], [4.9, 3.1, 1.5, 0.2])
    np.testing.assert_allclose(expected.inputs[37], [4.9, 3.6, 1.4, 0.1])
    wrong = contents["iris.data"].split(b"\n")
    assert wrong[34] != b"4.9,3.1,1.5,0.2,Iris-setosa"
    wrong[34], wrong[37] = (table.errata[row].encode() for row in (35, 38))
    mended = parsing.read_part(table, "train", {"iris.data": b"\n".join(wrong)})
    np.testing.assert_array_equal(mended.inputs, expected.inputs)


@pytest.mark.parametrize(
    ("line", "columns"),
    [(b"5.1,3.5,1.4,Iris-setosa", 4), (b"5.1,3.5,1.4,0.2,7,Iris-setosa", 6)],
)
def test_a_row_with_another_number_of_columns_is_named(line, columns):
    message = rf"iris\.data, row 2: {columns} columns instead of 5"
    with pytest.raises(UsageError, match=message):
        read_iris(ROW + line)


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1e39", "-1e400"])
def test_a_cell_that_is_not_finite_is_named(cell):
    message = rf"iris\.data, row 2, column 3: '{cell}' is not a finite number"
    with pytest.raises(UsageError, match=message):
        read_iris(ROW + f"5.1,3.5,{cell},0.2,Iris-setosa".encode())


@pytest.mark.parametrize("cell", ["?", "", "1.4.1", "Iris-setosa", "\ufffd"])
def test_a_cell_that_is_not_a_number_is_named(cell):
    with pytest.raises(UsageError, match=r"row 1, column 1: .* is not a number"):
        read_iris(f"{cell},3.5,1.4,0.2,Iris-setosa".encode())


def test_bytes_that_are_no_text_are_refused_as_no_numbers():
    with pytest.raises(UsageError, match="row 1, column 1"):
        read_iris(b"\xff\xfe,3.5,1.4,0.2,Iris-setosa")


def test_a_word_outside_a_nominal_column_s_list_is_named():
    row = b"X,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15"
    with pytest.raises(UsageError, match="column 1: 'X' is none of M, F, I"):
        parsing.read_part(TABLES["abalone"], "train", {"abalone.data": row})


def test_a_label_outside_the_list_is_named():
    with pytest.raises(UsageError, match="row 2: label 'Iris' is none of Iris-setosa"):
        read_iris(ROW + b"5.1,3.5,1.4,0.2,Iris")
    row = ",".join(["0"] * 279 + ["12"]).encode()  # a class without rows
    with pytest.raises(UsageError, match="row 1: label '12' is none of"):
        parsing.read_part(TABLES["arrhythmia"], "train", {"arrhythmia.data": row})


def test_a_file_of_labels_must_fit_the_rows():
    table, contents, _ = miniature.make("arcene")
    labels = contents["arcene_train.labels"]
    contents["arcene_train.labels"] = labels + b"1\n"
    with pytest.raises(UsageError, match=r"22 rows, but arcene_train\.labels has 23"):
        parsing.read_part(table, "train", contents)
    contents["arcene_train.labels"] = b"2\n" + labels.split(b"\n", 1)[1]
    with pytest.raises(UsageError, match=r"arcene_train\.labels, row 1: label '2'"):
        parsing.read_part(table, "train", contents)


def test_an_arff_file_without_data_is_named():
    with pytest.raises(UsageError, match="no line '@data'"):
        parsing.read_part(
            TABLES["phishing"], "train", {"PhishingData.arff": b"@relation Phishing\n"}
        )
