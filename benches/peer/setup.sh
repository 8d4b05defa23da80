#!/bin/sh
# Make a virtual environment with the peer and its judge: ./setup.sh [FOLDER]   (default: .venv beside this script)
# PYTHON names the interpreter (3.11 was used). About 6 GB are installed, most of it for GPUs that are not used here.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-"$here/.venv"}
python=${PYTHON:-python3}

"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
"$folder/bin/python" - <<'CHECK'
from importlib.metadata import version

from mostlyai import engine, qa  # noqa: F401

print("mostlyai-engine", version("mostlyai-engine"), "and mostlyai-qa", version("mostlyai-qa"), "are ready")
CHECK
