"""`--overwrite` replaces what an earlier run of the same command wrote, and whole commands keep everything else."""

import json
from pathlib import Path

import pytest

from tests.commands import listing, refusal, run, toy, train
from utils.run.folders import RECORD


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return toy(tmp_path_factory.mktemp("data") / "nba")


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    return train(tmp_path_factory.mktemp("model") / "run", data)


def sample(model: Path, folder: object, *more: object) -> tuple[object, ...]:
    """A line that samples into a folder."""
    short = "--num_samples 1 --motion_length 0.3 --overwrite"
    return ("sample.generate", "--model_path", model, "--output_dir", folder, short, *more)


def test_somebodys_folder_keeps_everything(model, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "thesis.tex").write_text("mine")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref")
    before = listing(tmp_path)
    for seed in (1, 2):
        run(*sample(model, tmp_path, f"--seed {seed}"))
        assert {name: time for name, time in listing(tmp_path).items() if name in before} == before
    record = json.loads((tmp_path / RECORD).read_text())
    assert record["command"] and set(record["files"]) == set(listing(tmp_path)) - {*before, RECORD}


def test_where_the_user_stands(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(*sample(model.resolve(), "."))
    assert (tmp_path / "results.npy").is_file()


@pytest.mark.parametrize("name", ["results.npy", RECORD])
def test_what_others_wrote_is_refused_before_any_work(model, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr("sample.common.session.open_session", lambda *_: pytest.fail("the model was loaded"))
    content = {"command": "sample.mas", "line": "", "files": {}, "before": {}}
    (tmp_path / name).write_text(json.dumps(content))
    before = listing(tmp_path)
    said = refusal(capsys, 2, *sample(model, tmp_path))
    assert "choose another folder" in said and listing(tmp_path) == before


def test_a_file_and_a_link_to_it_are_no_folders(model, data, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        line = ("train.train_mdm", "--datapath", data, "--overwrite", "--save_dir", tmp_path / name)
        for each in (sample(model, tmp_path / name), line):
            assert f"{name} exists already and is no folder; choose another name" in refusal(capsys, 2, *each)
    assert (tmp_path / "file").read_text() == "mine" and (tmp_path / "link").is_symlink()


def test_a_run_is_replaced_and_notes_and_samples_stay(data, tmp_path, capsys):
    folder = train(tmp_path / "run", data)
    run("train.train_mdm", "--resume_checkpoint", folder, "--num_steps 4")
    (folder / "notes.txt").write_text("mine")
    (folder / "checkpoint_best.pth").write_text("mine")
    run("sample.generate", "--model_path", folder, "--num_samples 1 --motion_length 0.3")
    train(folder, data, "--overwrite")
    kept = {"notes.txt", "checkpoint_best.pth", "sample_seed_0", "sample_seed_0/results.npy"}
    assert kept <= set(listing(folder)) and {path.name for path in folder.glob("checkpoint_[0-9]*")} == {
        "checkpoint_3.pth"
    }
    (folder / "args.json").write_text("{}")
    line = ("train.train_mdm", "--datapath", data, "--overwrite", "--save_dir", folder)
    assert "args.json was changed since" in refusal(capsys, 2, *line)


def test_a_dataset_is_replaced_and_notes_stay(tmp_path):
    for dataset, gone in (("nba", "motions/toy_00001.npy"), ("mocap", "texts/toy_00001.txt")):
        folder = toy(tmp_path / dataset, dataset, 2)
        assert (folder / gone).is_file()
        (folder / "motions.txt").write_text("mine")
        run("prepare.toy_motion", "--dataset", dataset, "--output_dir", folder, "--num_motions 1 --overwrite")
        assert (folder / "motions.txt").read_text() == "mine" and not (folder / gone).exists()
