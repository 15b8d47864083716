"""The words that name a device, as torch and as people write them."""

import pytest
import torch

from utils.run.device import pick_device
from utils.run.errors import UsageError


@pytest.mark.parametrize("gpus", [0, 2])
def test_words_for_a_device(monkeypatch, gpus):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    words = {"cpu": "cpu", "CPU": "cpu", "-1": "cpu", "cuda": "cuda", "Cuda": "cuda"}
    words |= {"0": "cuda:0", "cuda:0": "cuda:0", "CUDA:1": "cuda:1", "1": "cuda:1"}
    for word, device in words.items():
        assert pick_device(word) == torch.device(device if gpus else "cpu"), word
    for word in ("tpu", "cuda:", "cuda:x", "cuda:0:0", "--1", "", "0.5", "²"):
        with pytest.raises(UsageError, match="choose cpu, cuda, mps or a GPU index"):
            pick_device(word)
    if gpus:
        with pytest.raises(UsageError, match="--device cuda:2: there are only 2 GPUs"):
            pick_device("cuda:2")
