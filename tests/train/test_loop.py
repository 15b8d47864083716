"""The training loop: exact resumption, refusals, signals, averaged weights, rates, parts of a batch, what is logged."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from train.common import loop
from train.common.loop import Training
from train.common.optimizer import average_decay, build_optimizer, final_step, learning_rate, update_average
from train.options import TrainingOptions
from utils.run import checkpoint
from utils.run.errors import DataError, NumericError, UsageError
from utils.run.randomness import torch_generator


class Regression:
    """A task whose batches are a function of the step."""

    def batch(self, step):
        draws = torch_generator("regression", step)
        x = torch.randn(8, 3, generator=draws)
        return {"x": x, "y": x.sum(1, keepdim=True)}

    def loss(self, model, batch):
        missed = model(batch["x"]) - batch["y"]
        return {"loss": missed.square().mean(), "absolute": missed.abs().mean()}


def network(dropout: float = 0.5) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(dropout), nn.Linear(8, 1))


def options(folder: Path, **changes) -> TrainingOptions:
    base = TrainingOptions(
        save_dir=str(folder), lr=0.01, num_steps=8, save_interval=100, resume_interval=3, use_ema=True,
        avg_model_beta=0.9, lr_schedule="cosine", log_interval=1,
    )  # fmt: skip
    return replace(base, **changes)


def train_to_end(folder: Path, resume: dict | None = None, **changes) -> dict:
    return checkpoint.load(loop.train(Training(network(), Regression(), options(folder, **changes), seed=5), resume))


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[part][name], other[part][name]) for part in ("model", "model_avg") for name in one[part])


def test_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    whole = train_to_end(tmp_path / "whole")
    train_to_end(tmp_path / "part")
    (tmp_path / "part" / "checkpoint_8.pth").unlink()
    resumed = train_to_end(tmp_path / "part", checkpoint.load(checkpoint.newest(tmp_path / "part")))
    assert same(whole, resumed)


@pytest.mark.parametrize("forgotten", ["optimizer", "model_avg", "step"])
def test_resuming_without_a_part_is_not_the_same(tmp_path, monkeypatch, forgotten):
    """The test above can fail: switch off a part of the restore and the weights differ."""
    whole = train_to_end(tmp_path / "whole")
    train_to_end(tmp_path / "part")
    content = checkpoint.load(tmp_path / "part" / "checkpoint_3.pth") if forgotten else {}
    if forgotten == "optimizer":
        monkeypatch.setattr(torch.optim.AdamW, "load_state_dict", lambda *_: None)
    elif forgotten == "model_avg":
        del content["model_avg"]
    else:
        content["step"] = 2
    assert not same(whole, train_to_end(tmp_path / "part", content))


def test_progress_has_no_step_twice_after_a_resume(tmp_path):
    train_to_end(tmp_path)
    train_to_end(tmp_path, checkpoint.load(tmp_path / "checkpoint_3.pth"))
    steps = [json.loads(line)["step"] for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 9))


def test_saves_are_pruned_but_milestones_are_not(tmp_path):
    train_to_end(tmp_path, num_steps=20, save_interval=5, resume_interval=2)
    kept = sorted(checkpoint.step_of(path) for path in tmp_path.glob("*.pth"))
    assert kept == [5, 10, 15, 16, 18, 20]


def test_loss_that_is_not_finite_ends_the_run_and_saves_nothing(tmp_path):
    class Broken(Regression):
        def loss(self, model, batch):
            return {"loss": super().loss(model, batch)["loss"] * float("nan")}

    with pytest.raises(NumericError, match="not finite"):
        loop.train(Training(network(), Broken(), options(tmp_path)))
    assert not list(tmp_path.glob("*.pth"))


def test_weights_only_and_foreign_files_cannot_be_resumed(tmp_path):
    content = train_to_end(tmp_path)
    with pytest.raises(DataError, match="weights only.*begin a new run from it with --initial_weights"):
        train_to_end(tmp_path, {"model": content["model"]})
    content["model"] = {"other": torch.zeros(1)}
    with pytest.raises(DataError, match="does not fit"):
        train_to_end(tmp_path, content)


def test_a_published_file_of_mas_counts_one_update_more(tmp_path):
    content = train_to_end(tmp_path)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    del content["run"]
    state = loop.State(model, optimizer)
    loop.restore(state, content | {"step": 3}, dict)
    assert state.step == 4


@pytest.mark.parametrize("averaged", [False, True])
def test_a_published_file_of_mdm_goes_on_with_a_new_optimiser(averaged, tmp_path, capsys):
    """Bare weights, or with averaged ones; the newest by its name; what lies in opt*.pt is left alone."""
    state = network().state_dict()
    other = {name: value + 1 for name, value in state.items()}
    torch.save({"model": state, "model_avg": other} if averaged else state, tmp_path / "model000000004.pt")
    for name in ("model000000003.pt", "opt000000004.pt", "opt000000005.pt"):
        torch.save({}, tmp_path / name)
    content = checkpoint.load(checkpoint.resolve(tmp_path))
    torch.testing.assert_close(checkpoint.weights(content), other if averaged else state)
    model, average = network(), {}
    restored = loop.State(model, build_optimizer(model, options(tmp_path)), average)
    loop.restore(restored, content, dict)
    assert restored.step == 5
    assert "AdamW's running means start anew" in capsys.readouterr().err
    assert set(average) == (set(other) if averaged else set())
    last = train_to_end(tmp_path / "run", content, num_steps=6)
    assert last["step"] == 6 and last["optimizer"]["state"][0]["step"] == 1


def test_resuming_with_and_without_averages(tmp_path):
    """Averages that are not asked for any more end; asked for anew, they begin with the weights."""
    train_to_end(tmp_path / "run")
    content = checkpoint.load(tmp_path / "run" / "checkpoint_3.pth")
    assert "model_avg" not in train_to_end(tmp_path / "without", content, use_ema=False)
    del content["model_avg"]
    nothing_left = train_to_end(tmp_path / "with", content, num_steps=3)
    assert same(nothing_left, {"model": content["model"], "model_avg": content["model"]})


@pytest.mark.parametrize("accumulate", [2, 3, 8])
def test_a_batch_in_parts_is_the_whole_batch(accumulate, tmp_path):
    runs = [
        loop.train(Training(network(0), Regression(), options(tmp_path / str(parts), accumulate=parts, grad_clip=0.5)))
        for parts in (1, accumulate)
    ]
    whole, parts = (checkpoint.load(saved) for saved in runs)
    for name, value in whole["model"].items():
        torch.testing.assert_close(parts["model"][name], value, atol=1e-6, rtol=0)
    logs = ([json.loads(line) for line in (run.parent / "progress.jsonl").read_text().splitlines()] for run in runs)
    for one, other in zip(*logs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"]) and one["absolute"] == pytest.approx(other["absolute"])


def test_more_parts_than_samples_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--train_batch_size 8 cannot be cut into 9 parts"):
        train_to_end(tmp_path, accumulate=9)


def test_every_term_and_the_norms_are_logged(tmp_path, capsys):
    class Curves:
        def __init__(self):
            self.points, self.open = [], True

        def report_scalar(self, name, value, step, group):
            self.points.append((group, name, step, value))

        def report_media(self, films, step):
            raise AssertionError

        def close(self):
            self.open = False

    curves, model = Curves(), network(0)
    gradients = torch.autograd.grad(Regression().loss(model, Regression().batch(0))["loss"], list(model.parameters()))
    loop.train(Training(model, Regression(), options(tmp_path, num_steps=1)), platform=curves)
    record = json.loads((tmp_path / "progress.jsonl").read_text())
    assert set(record) == {"step", "loss", "lr", "seconds", "absolute", "grad_norm", "param_norm"}
    assert record["grad_norm"] == pytest.approx(float(sum(g.square().sum() for g in gradients)) ** 0.5, rel=1e-5)
    after = float(sum(p.detach().square().sum() for p in model.parameters())) ** 0.5
    assert record["param_norm"] == pytest.approx(after, rel=1e-5)
    said = {name: value for group, name, step, value in curves.points if (group, step) == ("Loss", 1)}
    assert said == {"mean_loss": record["loss"]} | {
        name: record[name] for name in ("absolute", "grad_norm", "param_norm")
    }
    assert not curves.open
    assert f"mean_loss: {record['loss']:.4f} | absolute: {record['absolute']:.4f} | lr: " in capsys.readouterr().out


def test_an_update_that_is_passed_over_is_not_logged_and_changes_nothing(tmp_path):
    class Once(Regression):
        def loss(self, model, batch):
            terms = super().loss(model, batch)
            return terms | {"loss": terms["loss"] * (float("inf") if len(calls) == 2 else 1)}

        def batch(self, step):
            calls.append(step)
            return super().batch(step)

    calls = []
    saved = loop.train(
        Training(network(), Once(), options(tmp_path, resume_interval=1, num_steps=3, log_interval=2), seed=5)
    )
    two, one = (checkpoint.load(tmp_path / f"checkpoint_{step}.pth") for step in (2, 1))
    assert same(one, two) and not same(two, checkpoint.load(saved))
    lines = (tmp_path / "progress.jsonl").read_text().splitlines()
    records = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [record["step"] for record in records] == [2, 3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_polite_signal_saves_and_leaves(number, tmp_path, capsys):
    class Told(Regression):
        def batch(self, step):
            if step == 4:
                os.kill(os.getpid(), number)
            return super().batch(step)

    whole, before = train_to_end(tmp_path / "whole"), signal.getsignal(number)
    with pytest.raises(SystemExit) as end:
        loop.train(Training(network(), Told(), options(tmp_path / "part"), seed=5))
    saved = tmp_path / "part" / "checkpoint_5.pth"
    assert end.value.code == 128 + number and f"continue with --resume_checkpoint {saved}" in capsys.readouterr().err
    assert signal.getsignal(number) == before
    assert same(whole, train_to_end(tmp_path / "part", checkpoint.load(saved)))


def test_a_hangup_that_nohup_ignores_stays_ignored(tmp_path):
    class Told(Regression):
        def batch(self, step):
            os.kill(os.getpid(), signal.SIGHUP)
            return super().batch(step)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        saved = loop.train(Training(network(), Told(), options(tmp_path), seed=5))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert saved == tmp_path / "checkpoint_8.pth"


def test_damaged_lines_of_the_curve_are_left_out_when_a_run_goes_on(tmp_path):
    train_to_end(tmp_path)
    path = tmp_path / "progress.jsonl"
    whole = path.read_text().splitlines()
    junk = ["", "{", "[]", "null", '{"loss": 1}', '{"step": "3"}', "}", '{"step": 4']
    path.write_bytes("\n".join([*junk, *whole[:3], "\x00" * 9, *whole[3:]]).encode() + b"\xff}")
    train_to_end(tmp_path, checkpoint.load(tmp_path / "checkpoint_6.pth"))
    steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
    assert steps == list(range(1, 9))


def test_bfloat16_resumes_bit_for_bit(tmp_path):
    def run(folder, resume=None):
        return checkpoint.load(
            loop.train(Training(network(), Regression(), options(folder), seed=5, precision="bf16"), resume)
        )

    whole = run(tmp_path / "whole")
    assert same(whole, run(tmp_path / "part", checkpoint.load(tmp_path / "whole" / "checkpoint_3.pth")))
    assert not same(whole, train_to_end(tmp_path / "exact"))


def test_learning_rate_rises_and_falls(tmp_path):
    schedule = options(tmp_path, warmup_steps=4, num_steps=100, lr=1.0)
    rates = [learning_rate(schedule, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2, rel=1e-3) and max(rates) > 0.99 and rates[100] == pytest.approx(0.02)
    assert learning_rate(replace(schedule, lr_schedule="constant"), 90) == 1.0


def test_learning_rate_falls_in_a_line_and_ends_the_run(tmp_path):
    schedule = TrainingOptions(lr=2.0, num_steps=100, lr_anneal_steps=40)
    assert [learning_rate(schedule, step) for step in (0, 10, 30, 40)] == pytest.approx([2, 1.5, 0.5, 0])
    risen = replace(schedule, warmup_steps=1)
    assert [learning_rate(risen, step) for step in (0, 20)] == pytest.approx([1, 1])
    cosine = replace(schedule, lr_schedule="cosine")
    assert learning_rate(cosine, 20) == pytest.approx(0.5 * learning_rate(replace(cosine, lr_anneal_steps=0), 20))
    assert [final_step(replace(schedule, lr_anneal_steps=steps)) for steps in (0, 40, 200)] == [100, 40, 100]
    assert train_to_end(tmp_path, lr_anneal_steps=5)["step"] == 5
    assert (tmp_path / "checkpoint_5.pth").is_file()


def test_average_moves_towards_the_weights():
    model = nn.Linear(1, 1, bias=False)
    average = {"weight": torch.zeros(1, 1)}
    update_average(average, model, 0.9)
    torch.testing.assert_close(average["weight"], 0.1 * model.weight.detach())
    warm = TrainingOptions(avg_model_beta=0.99)
    assert [average_decay(warm, step) for step in (0, 8, 10**6)] == pytest.approx([0.1, 0.5, 0.99])
    assert average_decay(replace(warm, ema_warmup=False), 0) == 0.99


@pytest.mark.parametrize(("warmup", "decay"), [(True, 0.1), (False, 0.9)])
def test_the_first_update_moves_the_average(warmup, decay, tmp_path):
    content, start = train_to_end(tmp_path, num_steps=1, ema_warmup=warmup), network().state_dict()
    for name, value in content["model_avg"].items():
        torch.testing.assert_close(value, decay * start[name] + (1 - decay) * content["model"][name])


@pytest.mark.parametrize("use_ema", [False, True])
def test_adam_gets_its_beta_with_and_without_averages(use_ema):
    optimizer = build_optimizer(network(), TrainingOptions(adam_beta2=0.98, use_ema=use_ema))
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.98)
