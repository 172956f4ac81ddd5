#!/bin/sh
# Build a model from the Kaggle COVID-19 Radiography folder, then scan with it.
#   retrain.sh DATA_FOLDER MODEL_FOLDER [VGG19_WEIGHTS.npz]
# The weights file is for machines without internet; without it Keras downloads ImageNet's.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: retrain.sh DATA_FOLDER MODEL_FOLDER [VGG19_WEIGHTS.npz]" >&2
  exit 2
fi
data=$1
model=$2
if [ $# -ge 3 ]; then
  cxr-scan train "$data" --output "$model" --weights "$3"
else
  cxr-scan train "$data" --output "$model"
fi
cxr-scan doctor --model "$model"
echo "Scan with it: cxr-scan ./studies --model $model --output ./studies-new-model"
