#!/usr/bin/env python3
"""Convert model weights between the peer's torch file and ours, by the endings of the two names.

    python weights.py WS/ModelStore/model-data/model-weights.pt          WS/ModelStore/model-data/model-weights.safetensors
    python weights.py WS/ModelStore/model-data/model-weights.safetensors WS/ModelStore/model-data/model-weights.pt

Both files hold the same tensors (float32) under the same parameter names. A model that the peer trained privately
registers its recurrent weights twice; the second copies are dropped. Nothing but tensors is unpickled. Run it with the
Python of the peer's environment.
"""

import argparse
import os
import re
from pathlib import Path

# The private recurrent layer's second names, such as `...history@.l0_reverse.ih.weight`.
SECOND_NAME = re.compile(r"\.l\d+(_reverse)?\.(ih|hh)\.(weight|bias)$")


def read_torch(path: Path) -> dict:
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    strangers = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise SystemExit(f"{path}: {strangers[0]!r} is no tensor; give the file of a tabular model")
    return {
        name: value.detach().to(torch.float32).contiguous().clone()
        for name, value in state.items()
        if not SECOND_NAME.search(name)
    }


def read_safetensors(path: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(path)


def write_whole(path: Path, save) -> None:
    """Let `save` write to a temporary name beside the target, then rename, so that the file appears whole."""
    temporary = path.with_name(path.name + ".tmp")
    save(temporary)
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()

    import torch
    from safetensors.torch import save_file

    directions = {
        (".pt", ".safetensors"): (read_torch, save_file),
        (".safetensors", ".pt"): (read_safetensors, torch.save),
    }
    direction = directions.get((arguments.source.suffix, arguments.target.suffix))
    if direction is None:
        parser.error("one name must end in .pt and the other in .safetensors")
    read, save = direction
    tensors = read(arguments.source)
    write_whole(arguments.target, lambda path: save(tensors, path))
    print(f"{arguments.target.name}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values())} parameters")


if __name__ == "__main__":
    main()
