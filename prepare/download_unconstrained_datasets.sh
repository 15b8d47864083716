#!/usr/bin/env bash
# Puts what unconditional models of HumanAct12 are trained and evaluated on where the programs look for it:
# dataset/HumanAct12Poses, and in it the real motion of 15 joints that eval.eval_humanact12_uestc compares with.
#   bash prepare/download_unconstrained_datasets.sh [PLACE]
source "$(dirname "$0")/google_drive.sh"
place=${1:-$project/dataset}
mkdir -p "$place"
fetch "$place" 1130gHSvNyJmii7f6pv5aY5IyQIWc3t7R HumanAct12Poses humanact12poses.pkl
fetch_file "$place/HumanAct12Poses" 1KqOBTtLFgkvWSZb8ao-wdBMG7sTP3Q7d humanact12_unconstrained_modi_struct.npy
