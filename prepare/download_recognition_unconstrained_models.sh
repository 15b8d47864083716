#!/usr/bin/env bash
# Fetches the published network on 15 joints, by which eval.eval_humanact12_uestc judges models of HumanAct12 that are
# told nothing, into assets/actionrecognition: humanact12_gru_modi_struct.pth.tar.
#   bash prepare/download_recognition_unconstrained_models.sh [FOLDER]
KINDS=poses exec bash "$(dirname "$0")/download_recognition_models.sh" "$@"
