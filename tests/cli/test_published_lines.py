"""The command lines of the published pages (MAS; MDM with DiP; joints to SMPL), as printed, are understood here.

Each is run where the models that it names are empty files beside their options: it has to go as far as what is not
there, and must not be refused as a line (UsageError).
"""

import importlib
import json
import shlex
from pathlib import Path

import pytest

from data_loaders.registry import dataset_spec
from tests.conftest import ROOT
from utils.run.errors import DataError, MissingFileError

TEXT = {"dataset": "humanml", "arch": "trans_enc", "cond_mask_prob": 0.1}
ACTION = {"dataset": "humanact12", "cond_mask_prob": 0.0}
DIP = {
    "dataset": "humanml", "arch": "trans_dec", "text_encoder_type": "bert", "context_len": 20, "pred_len": 40,
    "diffusion_steps": 10, "mask_frames": True,
}  # fmt: skip
EVALUATOR = {"dataset": "nba", "e_latent_dim": 256}

# Published models, and what their args.json say.
MODELS = {
    "save/nba/nba_diffusion_model/checkpoint_500000.pth": {"dataset": "nba"},
    "save/evaluator/nba/nba_evaluator/checkpoint_1000000.pth": EVALUATOR,
    "save/evaluator/nba/no_aug/checkpoint_1000000.pth": EVALUATOR,
    "save/humanml_trans_enc_512/model000200000.pt": TEXT,
    "save/humanml_trans_enc_512/model000475000.pt": TEXT,
    "save/kit_trans_enc_512/model000400000.pt": TEXT | {"dataset": "kit"},
    "save/humanact12/model000350000.pt": ACTION,
    "save/uestc/model000950000.pt": ACTION | {"dataset": "uestc"},
    "save/unconstrained/model000450000.pt": ACTION | {"unconstrained": True},
    "save/target_10steps_context20_predict40/model000200000.pt": DIP | {"multi_target_cond": True},
    "save/DiP_no-target_10steps_context20_predict40/model000600343.pt": DIP,
}

NBA = "--model_path save/nba/nba_diffusion_model/checkpoint_500000.pth"
HUMANML = "--model_path ./save/humanml_trans_enc_512/model000200000.pt"
ACTS = "--model_path ./save/humanact12/model000350000.pt"
DIP_MODEL = "--model_path save/target_10steps_context20_predict40/model000200000.pt"
ACTS_TRAINING = "--cond_mask_prob 0 --lambda_rcxyz 1 --lambda_vel 1 --lambda_fc 1"
DIP_TRAINING = (
    "train.train_mdm --save_dir save/my_humanml_DiP --dataset humanml --arch trans_dec --text_encoder_type bert "
    "--diffusion_steps 10 --context_len 20 --pred_len 40 --mask_frames --use_ema --autoregressive "
    "--gen_guidance_param 7.5"
)
EVALUATION_IN_TRAINING = (
    "train.train_mdm --save_dir save/nba/my_nba_diffusion_model --dataset nba --eval_during_training "
    "--evaluator_path save/evaluator/nba/no_aug/checkpoint_1000000.pth "
    '--subjects "model mas" --num_views 5 --num_eval_iterations 2'
)

LINES = (
    # MAS
    f"sample.generate {NBA}",
    f"sample.generate {NBA} --num_samples 10 --device 0 --seed 0 --motion_length 6.0 --output_dir out --overwrite",
    f"sample.generate {NBA} --use_data --show_input_motions",
    f"sample.mas {NBA}",
    f"sample.mas {NBA} --num_views 7",
    f"sample.ablations {NBA} --ablation_name random_angles",
    f"sample.ablations {NBA} --ablation_name dreamfusion",
    "visualize.render_mesh --input_path path/to/mp4/video/result_0.mp4 --skeleton_type nba",
    "train.train_mdm --save_dir save/nba/my_nba_diffusion_model --dataset nba",
    "train.train_mdm --save_dir save/nba/my_nba_diffusion_model --dataset nba --emb_trans_dec --sigma_small True",
    EVALUATION_IN_TRAINING,
    "eval.evaluate --evaluator_path save/evaluator/nba/nba_evaluator/checkpoint_1000000.pth "
    f'{NBA} --subjects "ElePose motionBert model mas train_data" --num_views 5',
    "eval.train_evaluator --save_dir save/evaluator/nba/my_nba_evaluator --dataset nba",
    # MDM
    f"sample.generate {HUMANML} --num_samples 10 --num_repetitions 3",
    f"sample.generate {HUMANML} --input_text ./assets/example_text_prompts.txt",
    f'sample.generate {HUMANML} --text_prompt "the person walked forward and is picking up his toolbox."',
    f"sample.generate {ACTS} --num_samples 10 --num_repetitions 3",
    f"sample.generate {ACTS} --action_file ./assets/example_action_names_humanact12.txt",
    "sample.generate --model_path ./save/uestc/model000950000.pt "
    "--action_file ./assets/example_action_names_uestc.txt",
    f'sample.generate {ACTS} --action_name "drink"',
    "sample.generate --model_path ./save/unconstrained/model000450000.pt --num_samples 10 --num_repetitions 3",
    "visualize.render_mesh --input_path path/to/mp4/stick/figure/sample00_rep00.mp4",
    f"sample.edit {HUMANML} --edit_mode in_between",
    f'sample.edit {HUMANML} --edit_mode upper_body --text_condition "A person throws a ball"',
    "train.train_mdm --save_dir save/my_humanml_trans_enc_512 --dataset humanml",
    "train.train_mdm --save_dir save/my_humanml_trans_enc_512_50steps --dataset humanml --diffusion_steps 50 "
    "--mask_frames --use_ema",
    "train.train_mdm --save_dir save/my_humanml_trans_dec_bert_512_50steps --dataset humanml --diffusion_steps 50 "
    "--arch trans_dec --text_encoder_type bert --mask_frames --use_ema",
    "train.train_mdm --save_dir save/my_kit_trans_enc_512 --dataset kit",
    f"train.train_mdm --save_dir save/my_name --dataset humanact12 {ACTS_TRAINING}",
    f"train.train_mdm --save_dir save/my_name --dataset uestc {ACTS_TRAINING}",
    f"train.train_mdm --save_dir save/my_name --dataset humanact12 {ACTS_TRAINING}  --unconstrained",
    "eval.eval_humanml --model_path ./save/humanml_trans_enc_512/model000475000.pt",
    "eval.eval_humanml --model_path ./save/kit_trans_enc_512/model000400000.pt",
    "eval.eval_humanact12_uestc --model ./save/humanact12/model000350000.pt --eval_mode full",
    "eval.eval_humanact12_uestc --model ./save/unconstrained/model000450000.pt --eval_mode full",
    # DiP
    f"sample.generate {DIP_MODEL} --autoregressive --guidance_param 7.5",
    f'sample.generate {DIP_MODEL} --autoregressive --guidance_param 7.5 --text_prompt "A person throws a ball."',
    f"sample.generate {DIP_MODEL} --autoregressive --guidance_param 7.5 "
    "--dynamic_text_path assets/example_dynamic_text_prompts.txt",
    "eval.eval_humanml --model_path save/DiP_no-target_10steps_context20_predict40/model000600343.pt  "
    "--autoregressive --guidance_param 7.5 --train_platform_type WandBPlatform --eval_mode mm_short",
    DIP_TRAINING,
    f"{DIP_TRAINING} --eval_during_training --gen_during_training --lambda_target_loc 1.",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with the project's assets, the published models as empty files, and their options."""
    for path, args in MODELS.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        (file.parent / "args.json").write_text(json.dumps(args))
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_a_published_line_is_understood(line: str, place: Path, capsys):
    module, *argv = shlex.split(line)
    with pytest.raises((MissingFileError, DataError)):
        importlib.import_module(module).main(argv)
    assert "not ours" not in capsys.readouterr().err


@pytest.mark.parametrize("dataset", ["humanact12", "uestc"])
def test_the_example_actions_are_those_of_the_dataset(dataset: str):
    path = ROOT / "assets" / f"example_action_names_{dataset}.txt"
    assert path.read_text().splitlines() == list(dataset_spec(dataset).actions)
