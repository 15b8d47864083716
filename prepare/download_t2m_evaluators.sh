#!/usr/bin/env bash
# Puts the published evaluators of text models where eval.eval_humanml looks for them: t2m/ (HumanML3D) and kit/ (KIT-ML),
# each with text_mot_match/model/finest.tar (Guo et al. 2022). They also need the vectors of words: download_glove.sh.
#   bash prepare/download_t2m_evaluators.sh [PLACE]
source "$(dirname "$0")/google_drive.sh"
fetch "${1:-$project}" 1O_GUHgjDbl2tgbyfSwZOUYXDACnk25Kb t2m text_mot_match/model/finest.tar
fetch "${1:-$project}" 12liZW5iyvoybXD8eOw4VanTgsMtynCuU kit text_mot_match/model/finest.tar
