"""The published table byte for byte, and records that are read, and not mixed."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.reporting import record
from utils.run.errors import DataError, MissingFileError, UsageError


def content(**changes) -> dict:
    base = {"kind": "mas", "dataset": "nba", "truth": "2d", "angle_mode": "uniform", "metrics": ["fid"]}
    evaluator = {"name": "a", "path": "x", "sha256": "0123456789"}
    return base | {"subjects": {"mas": {"fid": {"mean": 1.0}}}, "evaluator": evaluator} | changes


def test_the_published_table(golden):
    given = json.loads((golden / "mas" / "eval_table_input.json").read_text())
    wanted = (golden / "mas" / "eval_table.txt").read_bytes()
    subjects = given["per_iteration_values"]
    assert record.table(subjects, list(subjects["mas"])).encode() == wanted


@pytest.mark.parametrize(
    "value, shown", [(1.239, "1.24"), (0.0, "0.00e+00"), (0.004, "4.00e-03"), (-0.001, "-0.00"), (0.005, "0.01")]
)
def test_numbers(value, shown):
    assert record.number(value) == shown


def test_a_record_is_written_and_read(tmp_path):
    values = {"mas": {"fid": [1.0, 3.0]}}
    found = record.summary(values)
    assert found["mas"]["fid"] == {"values": [1.0, 3.0], "mean": 2.0, "interval": pytest.approx(1.96 / 2**0.5)}
    stem = tmp_path / "model.v2_eval"
    record.write(stem, content(subjects=found), "text\n", {"mas/best/0": np.zeros((3, 16, 2))})
    read = record.read(tmp_path / "model.v2_eval.json")
    assert read["subjects"] == found and read["format_version"] == 1
    assert (tmp_path / "model.v2_eval.txt").read_text() == "text\n"
    assert np.load(tmp_path / "model.v2_eval_examples.npz")["mas/best/0"].shape == (3, 16, 2)


def test_records_of_different_evaluators_are_not_compared():
    record.check_comparable({})
    record.check_comparable({"a.json": content(), "b.json": content(subjects={})})
    other = content(evaluator={"name": "b", "path": "x", "sha256": "9876543210"})
    with pytest.raises(
        UsageError, match=r"a.json was made with the evaluator a \(01234567\), b.json with b \(98765432\)"
    ):
        record.check_comparable({"a.json": content(), "b.json": other})
    for key, value in {"dataset": "horse", "truth": "3d", "angle_mode": "side", "kind": "text"}.items():
        with pytest.raises(UsageError, match=f"a.json has {key}"):
            record.check_comparable({"a.json": content(), "b.json": content(**{key: value})})


def test_what_is_no_record(tmp_path):
    with pytest.raises(MissingFileError):
        record.read(tmp_path / "none.json")
    path = Path(tmp_path / "x.json")
    path.write_text("[1]")
    with pytest.raises(DataError, match="no record"):
        record.read(path)
    path.write_text(json.dumps(content(format_version=7)))
    with pytest.raises(DataError, match="has the format 7"):
        record.read(path)
