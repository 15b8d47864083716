#!/usr/bin/env bash
# Puts the vectors of words (GloVe, Pennington et al. 2014) that the published evaluators read into glove/.
#   bash prepare/download_glove.sh [PLACE]
source "$(dirname "$0")/google_drive.sh"
fetch "${1:-$project}" 1cmXKUT31pqd7_XpJAiWEo1K81TMYHA5n glove our_vab_data.npy our_vab_words.pkl our_vab_idx.pkl
