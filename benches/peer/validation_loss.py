#!/usr/bin/env python3
"""Judge trained workspaces by the peer's own code: the validation loss, averaged over many random column orders.

    python validation_loss.py WS_OF_ARGN WS_OF_PEER --passes 10

The loss that a training reports is the least of many noisy epochs, each with column orders of its own; this one is
an average, and the same code computes it for both. A workspace needs its statistics, its encoded validation rows and its
weights (`model-weights.safetensors`, else `model-weights.pt`). Run it with the Python of the peer's environment.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


def load_model(workspace):
    """The flat model of a workspace as the peer builds it, with the weights found there."""
    import torch
    from mostlyai.engine._common import get_cardinalities
    from mostlyai.engine._tabular.argn import FlatModel
    from weights import read_safetensors, read_torch

    model = FlatModel(
        tgt_cardinalities=get_cardinalities(workspace.tgt_stats.read()),
        ctx_cardinalities={},
        ctxseq_len_median={},
        model_size=workspace.model_configs.read()["model_units"],
        column_order=None,
        device=torch.device("cpu"),
    )
    path = workspace.model_path / "model-weights.safetensors"
    tensors = read_safetensors(path) if path.exists() else read_torch(workspace.model_tabular_weights_path)
    model.load_state_dict(tensors)
    return model


def losses(folder: Path, passes: int, batch_size: int, seed: int) -> list[float]:
    """The mean loss of the validation rows, in nats a row, once per pass."""
    import pandas as pd
    import torch
    from mostlyai.engine import set_random_state
    from mostlyai.engine._tabular.training import BatchCollator, _calculate_val_loss
    from mostlyai.engine._workspace import Workspace

    workspace = Workspace(folder)
    model = load_model(workspace)
    rows = pd.concat([pd.read_parquet(part) for part in workspace.encoded_data_val.fetch_all()]).to_dict("records")
    collate = BatchCollator(is_sequential=False, max_sequence_window=None, device=torch.device("cpu"))
    loader = torch.utils.data.DataLoader(rows, batch_size=batch_size, collate_fn=collate)
    set_random_state(seed)
    return [_calculate_val_loss(model=model, val_dataloader=loader) for _ in range(passes)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspaces", type=Path, nargs="+", metavar="WS")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128, help="rows that share an order (default 128)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    found = {}
    for folder in arguments.workspaces:
        values = losses(folder, arguments.passes, arguments.batch_size, arguments.seed)
        found[str(folder)] = values
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        print(f"{folder}: {statistics.mean(values):.4f} nats a row, +- {error:.4f} over {len(values)} passes")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
