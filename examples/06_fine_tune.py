"""Fine-tune the shipped text model on clips of your own (here: toy ones), and sample from the result.

python -m examples.06_fine_tune
"""

import subprocess
import sys
from pathlib import Path

MODEL = Path("save/mocap_text")


def command(module: str, *flags: object) -> None:
    """Run a command of the project; stop where it does not end well."""
    subprocess.run([sys.executable, "-m", module, *map(str, flags)], check=True)


def main(folder: str = "runs/examples/fine_tune", steps: str = "20") -> None:
    """Make clips, train from the model's weights by its recipe, sample."""
    data, run = Path(folder, "data"), Path(folder, "model")
    # With recordings of your own: command("prepare.humanml", "--sources", "my_bvh_folder", "--output_dir", data)
    command("prepare.toy_motion", "--dataset", "mocap", "--output_dir", data, "--overwrite")
    # Architecture, Mean and Std are those beside the weights; --config takes the recipe of their training too.
    recipe = ["--initial_weights", MODEL, "--config", MODEL / "args.json"]
    changed = ["--num_steps", steps, "--train_batch_size", 8, "--lr", 1e-4, "--warmup_steps", 0, "--log_interval", 1]
    command("train.train_mdm", *recipe, *changed, "--datapath", data, "--save_dir", run, "--overwrite")
    flags = ["--text_prompt", "a person waves", "--num_samples", 1, "--sampler", "dpm++", "--sampling_steps", 10]
    command("sample.generate", "--model_path", run, *flags, "--output_dir", Path(folder, "samples"), "--overwrite")


if __name__ == "__main__":
    main(*sys.argv[1:])
