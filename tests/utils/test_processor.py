"""Who multiplies matrices: by the processor and the flag, the same on one machine, and said in records."""

from pathlib import Path

import pytest
import torch

from utils.run import processor
from utils.run.device import device_of
from utils.run.options import LINEAR, RunOptions, parse
from utils.run.processor import Ways, ways_of


@pytest.fixture(autouse=True)
def as_before():
    yield
    processor.choose("auto")


def test_the_maker_decides_and_the_flag_overrides():
    assert ways_of("auto", "AMD") == ways_of("onednn", "") == Ways("onednn", "onednn")
    assert ways_of("auto", "Intel") == Ways("onednn", "mkl")
    assert ways_of("auto", "") == ways_of("mkl", "AMD") == Ways("mkl", "mkl")
    assert ways_of("onednn", "Intel") == Ways("onednn", "onednn")


@pytest.mark.parametrize("choice", LINEAR)
def test_without_the_operators_all_is_left_to_torch(choice: str, monkeypatch: pytest.MonkeyPatch):
    assert ways_of(choice, "AMD", there=False) == Ways("mkl", "mkl")
    monkeypatch.setattr(processor, "onednn_is_there", lambda: False)
    processor.choose(choice)
    assert processor.ways() == Ways("mkl", "mkl")


def test_a_command_takes_the_flag_up():
    for choice in LINEAR:
        (run,) = parse("tests", "", (RunOptions,), ["--linear", choice, "--device", "cpu"])
        assert device_of(run) == torch.device("cpu")
        maker, there = processor.processor()[0], processor.onednn_is_there()
        assert processor.ways() == ways_of(choice, maker, there)


@pytest.mark.parametrize("text, maker", [("AuthenticAMD", "AMD"), ("GenuineIntel", "Intel"), ("Other", "")])
def test_the_processor_is_read(text: str, maker: str, monkeypatch: pytest.MonkeyPatch):
    facts = f"processor : 0\nvendor_id : {text}\nmodel name : Some Chip: 9\n\nprocessor : 1\nvendor_id : nobody\n"
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: facts)
    assert processor.processor.__wrapped__() == (maker, "Some Chip: 9")


def test_elsewhere_it_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    monkeypatch.setenv("PROCESSOR_IDENTIFIER", "AMD64 Family 25 Model 97 Stepping 2, AuthenticAMD")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert processor.processor.__wrapped__() == ("AMD", "AMD64")


def test_it_is_said_in_words():
    assert str(Ways("onednn", "mkl")) == "onednn, mkl in training" and str(Ways("mkl", "mkl")) == "mkl"
