"""The loss, its gradients and recorded runs of the published trainers."""

from dataclasses import replace

import numpy as np
import torch

from diffusion.losses import motion_terms
from diffusion.process import build_process
from model.denoisers.build import build_denoiser, file_layout
from model.denoisers.published import from_published
from model.options import ModelOptions
from tests.published import flat, tensors, tiny_denoiser
from train.common.loop import Training, train
from train.common.optimizer import build_optimizer
from train.options import TrainingOptions
from train.tasks.diffusion import DiffusionTask
from utils.run import checkpoint


def golden_batch(record: dict) -> dict[str, torch.Tensor]:
    """A recorded batch in our layout."""
    batch = {name: flat(record[name]) for name in ("motion", "noise", "mask")}
    return batch | {"t": record["t"], "lengths": record["lengths"], "action": torch.full((len(record["t"]),), -1)}


def task(target: str = "x_start") -> DiffusionTask:
    return DiffusionTask(None, build_process("cosine_tau_2", 100), 4, 0, target=target)


def loss_of(task: DiffusionTask, network: torch.nn.Module, batch: dict) -> torch.Tensor:
    """The loss of each sample [B]."""
    return task.errors(network, batch)["loss"]


def test_loss_gradients_and_one_update(golden):
    record = tensors(golden / "mas" / "training_loss.npz")
    network, batch = tiny_denoiser(golden).train(), golden_batch(record)
    errors = loss_of(task(), network, batch)
    torch.testing.assert_close(errors, record["loss_per_sample"], rtol=2e-5, atol=1e-7)
    epsilon = loss_of(task("epsilon"), network, batch)
    torch.testing.assert_close(epsilon, record["eps_target_loss_per_sample_NOT_ORIGINAL"], rtol=2e-5, atol=1e-7)
    optimizer = build_optimizer(network, TrainingOptions(lr=1e-3))
    errors.mean().backward()
    gradients = from_published({name[5:]: value for name, value in record.items() if name.startswith("grad/")})
    parameters = dict(network.named_parameters())
    for name, gradient in gradients.items():
        torch.testing.assert_close(parameters[name].grad, gradient, atol=1e-5, rtol=0)
    optimizer.step()
    after = from_published({name[6:]: value for name, value in record.items() if name.startswith("after/")})
    for name, value in after.items():
        torch.testing.assert_close(parameters[name].detach(), value, atol=1e-6, rtol=0)


def test_recorded_run_of_four_updates(golden, tmp_path):
    record = tensors(golden / "mas" / "train_cli.npz")
    options = ModelOptions(layers=1, latent_dim=8, num_heads=2, ff_size=16, dropout=0.0)
    network = build_denoiser(options, 32)
    to_file, from_file = file_layout(options)
    network.load_state_dict(from_file({name[5:]: value for name, value in record.items() if name.startswith("init/")}))
    losses = []

    class Recorded(DiffusionTask):
        def batch(self, step):
            frames = int(record["frames"][step])
            names = ("motion", "noise", "mask")
            part = {name: record[name][step, ..., :frames] for name in names}
            return golden_batch(part | {"t": record["t"][step], "lengths": record["lengths"][step]})

        def loss(self, model, batch):
            losses.append(super().loss(model, batch))
            return losses[-1]

    settings = TrainingOptions(save_dir=str(tmp_path / "run"), lr=1e-3, num_steps=4)
    task = Recorded(None, build_process("cosine_tau_2", 100), 4, 0)
    saved = train(Training(network, task, settings, to_file=to_file, from_file=from_file))
    np.testing.assert_allclose([loss["loss"].item() for loss in losses], record["loss"], rtol=1e-4)
    content = checkpoint.load(saved)
    assert saved.name == "checkpoint_4.pth" and content["step"] == 4
    final = {name[6:]: value for name, value in record.items() if name.startswith("final/")}
    for name, value in final.items():
        difference = (content["model"][name] - value).abs()
        if name.endswith("in_proj_bias"):
            # A bias of the keys shifts all scores of a query alike, which softmax does not see: its gradient is
            # rounding noise, and Adam makes steps of up to the learning rate of it.
            assert difference[8:16].max() <= 4 * settings.lr
            difference[8:16] = 0
        assert difference.max() < 1e-5, name
    assert set(content["model"]) - set(final) == {"sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe"}


def test_recorded_run_with_averaged_weights(golden, tmp_path):
    """Three updates of the published trainer of MDM: AdamW, text as a condition, an average of constant decay."""
    record = tensors(golden / "mdm" / "train_steps.npz")
    options = ModelOptions(layers=1, latent_dim=16, num_heads=4, ff_size=32, dropout=0.0, mask_frames=False)
    network = build_denoiser(options, 12, text_width=512, encoder_hides=False)
    to_file, from_file = file_layout(options)
    network.load_state_dict(from_file({name[3:]: value for name, value in record.items() if name[:3] == "w0/"}))

    class Recorded(DiffusionTask):
        def batch(self, step):
            motion, noise = (record[f"s{step}/{name}"].squeeze(2).transpose(1, 2) for name in ("x0", "noise"))
            told = {"text": record[f"s{step}/text_embed"].transpose(0, 1), "lengths": torch.full((len(motion),), 6)}
            return told | {"motion": motion, "noise": noise, "mask": torch.ones(4, 6, 1), "t": record[f"s{step}/t"]}

        def errors(self, model, batch):
            found = super().errors(model, batch)
            torch.testing.assert_close(found["loss"], record[f"s{len(losses)}/loss"], rtol=1e-4, atol=1e-6)
            losses.append(found["loss"])
            return found

    losses = []
    settings = TrainingOptions(
        save_dir=str(tmp_path / "run"), lr=1e-3, weight_decay=0.01, num_steps=3, use_ema=True, avg_model_beta=0.9,
        ema_warmup=False,
    )  # fmt: skip
    task = Recorded(None, build_process("cosine", 50), 4, 0)
    saved = train(Training(network, task, settings, to_file=to_file, from_file=from_file))
    content = checkpoint.load(saved)
    for prefix, part in (("w3/", "model"), ("ema3/", "model_avg")):
        for name, value in record.items():
            if name.startswith(prefix):
                difference = (content[part][name.removeprefix(prefix)] - value).abs()
                if name.endswith("in_proj_bias"):
                    difference[16:32] = 0  # the bias of the keys: see above
                assert difference.max() < 1e-5, name


def test_weighted_and_velocity_losses_follow_their_formulas(golden):
    record = tensors(golden / "mas" / "training_loss.npz")
    network, batch, plain = tiny_denoiser(golden), golden_batch(record), task()
    with torch.no_grad():
        errors = loss_of(plain, network, batch)
        left = torch.from_numpy(1 - plain.process.abar)[batch["t"]].float()
        for weighting, power in (("inv_sqrt_noise", 0.5), ("inv_noise", 1)):
            weighted = loss_of(replace(plain, weighting=weighting), network, batch)
            torch.testing.assert_close(weighted, errors / left**power)
        constant = batch | {"motion": batch["motion"] * 0 + 1, "mask": batch["mask"] * 0 + 1}
        with_velocity = replace(
            plain, terms=lambda output, target, batch: motion_terms(output, target, batch["mask"], {"vel_mse": 10.0}, 0)
        )
        noisy = plain.process.q_sample(constant["motion"], constant["t"], constant["noise"]).flatten(2)
        told = {name: constant[name] for name in ("lengths", "action")}
        output = network(noisy, constant["t"], told).view_as(constant["motion"])
        expected = loss_of(plain, network, constant) + 10 * output.diff(dim=1).square().mean((1, 2, 3))
        torch.testing.assert_close(loss_of(with_velocity, network, constant), expected)
