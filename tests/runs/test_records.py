import math

import pytest

from mixup_jax.errors import UsageError
from mixup_jax.runs.records import Record, read_records, write_records

RECORDS = [
    Record("cifar", "erm", "test_error_last", 0, 0.1, 'a "quoted", title', "small"),
    Record("cifar", "mixup", "test_error_last", 2**31, 1 / 3, "ü", "paper"),
    Record("toy", "erm", "train_loss", 1, math.inf, "two rings", "small"),
]


def test_what_was_written_comes_back_to_the_bit(tmp_path):
    write_records(tmp_path / "records.csv", RECORDS)
    assert read_records(tmp_path / "records.csv") == RECORDS
    assert [path.name for path in tmp_path.iterdir()] == ["records.csv"]


def test_the_file_can_be_read_by_a_person(tmp_path):
    write_records(tmp_path / "records.csv", RECORDS[2:])
    assert (tmp_path / "records.csv").read_text() == (
        "experiment,row,measure,seed,value,data,scale\n"
        "toy,erm,train_loss,1,inf,two rings,small\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line should be experiment,row"),
        ("a,b\n1,2\n", "first line should be experiment,row"),
        ("{head}\ncifar,erm,error,0,much,x,small\n", "line 2: could not convert"),
        ("{head}\ncifar,erm,error\n", "line 2: not enough values"),
    ],
)
def test_another_file_is_refused_by_name_and_line(text, message, tmp_path):
    path = tmp_path / "records.csv"
    path.write_text(text.replace("{head}", ",".join(Record._fields)))
    with pytest.raises(UsageError, match=message) as caught:
        read_records(path)
    assert str(path) in str(caught.value)
