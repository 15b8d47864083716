"""How long `python -m sample.mas -h` takes, beside importing torch, which the published program does first.

Run by hand: `python -m tests.benchmarks.startup [runs]`. Each measurement is a fresh process with one thread, the ways
taking turns; medians over the runs, the first of which (cold files) is not counted.
"""

import os
import resource
import statistics
import subprocess
import sys
import time

from utils.run.errors import run_command

COMMANDS = {
    "bare python": ["-c", ""],
    "sample.mas -h": ["-m", "sample.mas", "-h"],
    "import torch": ["-c", "import torch"],
}


def seconds(arguments: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a Python process that must succeed."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - wall
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(argv: list[str]) -> None:
    """Print the seconds of each command and the ratio."""
    runs = int(argv[0]) if argv else 7
    rounds = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(runs + 1)][1:]
    cost = {name: [statistics.median(each[name][i] for each in rounds) for i in (0, 1)] for name in COMMANDS}
    print(f"medians of {runs} processes")
    print("command          CPU s   wall s")
    for name, (cpu, wall) in cost.items():
        print(f"{name:14s} {cpu:7.3f}  {wall:7.3f}")
    ratios = [cost["import torch"][i] / cost["sample.mas -h"][i] for i in (0, 1)]
    print(f"import torch / sample.mas -h: {ratios[0]:.1f} by CPU, {ratios[1]:.1f} by the wall")


if __name__ == "__main__":
    run_command(main)
