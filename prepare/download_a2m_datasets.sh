#!/usr/bin/env bash
# Puts the published datasets of motion with actions where the programs look for them: dataset/HumanAct12Poses (poses of
# HumanAct12) and dataset/uestc (poses of UESTC as VIBE estimates them). dataset/README.md says what is in them.
#   bash prepare/download_a2m_datasets.sh [PLACE]
source "$(dirname "$0")/google_drive.sh"
place=${1:-$project/dataset}
mkdir -p "$place"
fetch "$place" 1130gHSvNyJmii7f6pv5aY5IyQIWc3t7R HumanAct12Poses humanact12poses.pkl
fetch "$place" 1LE-EmYNzECU8o7A2DmqDKtqDMucnSJsy uestc vibe_cache_refined.pkl
