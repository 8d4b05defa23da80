#!/usr/bin/env python3
"""Run stages of the peer (mostlyai-engine) in one process and print one line of JSON with their times.

The import is timed apart from the work, and every module that a stage would load later is imported up front, so that
no stage pays for it. `compare.py` starts this script; it can also be run by hand with the Python of the peer's
environment:

    python peer_job.py run --workspace WS --table TABLE.csv.gz --out OUT.csv
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

STAGES = ("split", "analyze", "encode", "train", "generate", "write")
# Not part of a run: decodes random valid codes.
DECODE = "decode"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", help=f"'run' for all, or some of {','.join(STAGES)} with commas between")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="CSV table (plain or gzip); split reads it")
    parser.add_argument("--split-from", type=Path, metavar="WS", help="replace the split by the one in this workspace")
    parser.add_argument("--out", type=Path, help="CSV file that write makes")
    parser.add_argument("-n", "--rows", type=int, help="rows to generate (default: as many as were trained on) or to decode")
    parser.add_argument("--model", default="medium", choices=("small", "medium", "large"))
    parser.add_argument("--max-epochs", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    arguments.stages = STAGES if arguments.stages == "run" else arguments.stages.split(",")
    if unknown := [stage for stage in arguments.stages if stage not in (*STAGES, DECODE)]:
        parser.error(f"unknown stage: {unknown[0]}")
    if "split" in arguments.stages and not arguments.table:
        parser.error("split needs --table")
    if "write" in arguments.stages and not arguments.out:
        parser.error("write needs --out")
    return arguments


def import_peer():
    """Import the peer with all that its stages load lazily."""
    import datasets  # noqa: F401
    import pandas  # noqa: F401
    import torch
    from mostlyai import engine
    from mostlyai.engine._tabular import encoding, generation, training  # noqa: F401

    return engine, torch


def adopt_split(source: Path, workspace: Path) -> None:
    """Put the split rows and the column types of another workspace (same layout) in place of ours."""
    for folder in ("tgt-data", "tgt-meta"):
        target = workspace / "OriginalData" / folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source / "OriginalData" / folder, target)


class EpochClock:
    """Progress callback that keeps the exact time of each epoch's end (the peer's own file rounds to 0.1 s)."""

    def __init__(self) -> None:
        self.begin = None
        self.epochs = []

    def __call__(self, *, message=None, **_):
        now = time.perf_counter()
        if message is None:
            return {}
        fields = message if isinstance(message, dict) else message.model_dump()
        if self.begin is None:
            # the first message comes after step 1 and carries the seconds since the loop began
            self.begin = now - (fields.get("total_time") or 0.0)
        if fields.get("val_loss") is not None:
            self.epochs.append(
                {
                    "seconds": now - self.begin,
                    "samples": fields["samples"],
                    "val_loss": fields["val_loss"],
                }
            )
        return {}


def run_stage(stage: str, engine, arguments: argparse.Namespace, clock: EpochClock) -> None:
    workspace = arguments.workspace
    if stage == "split":
        import pandas as pd

        engine.split(pd.read_csv(arguments.table), workspace_dir=workspace, model_type="TABULAR")
    elif stage == "analyze":
        engine.analyze(workspace_dir=workspace)
    elif stage == "encode":
        engine.encode(workspace_dir=workspace)
    elif stage == "train":
        options = {"max_epochs": arguments.max_epochs} if arguments.max_epochs is not None else {}
        engine.train(
            model=f"MOSTLY_AI/{arguments.model.capitalize()}",
            batch_size=arguments.batch_size,
            device="cpu",
            workspace_dir=workspace,
            update_progress=clock,
            **options,
        )
    elif stage == "generate":
        engine.generate(sample_size=arguments.rows, device="cpu", workspace_dir=workspace)
    elif stage == "write":
        from mostlyai.engine._common import load_generated_data

        load_generated_data(workspace).to_csv(arguments.out, index=False)
    elif stage == DECODE:
        decode(engine, arguments)


def random_codes(stats: dict, rows: int):
    """Random valid codes of all sub-columns; made before the clock starts."""
    import numpy as np
    import pandas as pd
    from mostlyai.engine._common import get_cardinalities

    draw = np.random.default_rng(1)
    codes = {name: draw.integers(0, size, rows, dtype="int32") for name, size in get_cardinalities(stats).items()}
    return pd.DataFrame(codes)


def decode(engine, arguments: argparse.Namespace) -> None:
    """Decodes as the peer's generation does, at most 500,000 rows at a time; notes the time without the codes' making."""
    from mostlyai.engine._tabular.generation import _decode_df

    path = arguments.workspace / "ModelStore" / "tgt-stats" / "stats.json"
    stats = json.loads(path.read_text())
    arguments.decode_seconds = 0.0
    for first in range(0, arguments.rows, 500_000):
        codes = random_codes(stats, min(500_000, arguments.rows - first))
        begin = time.perf_counter()
        _decode_df(codes, stats)
        arguments.decode_seconds += time.perf_counter() - begin


def main() -> None:
    arguments = parse_arguments()
    arguments.workspace.mkdir(parents=True, exist_ok=True)

    begin = time.perf_counter()
    engine, torch = import_peer()
    report = {"import": time.perf_counter() - begin, "versions": {"mostlyai-engine": engine.__version__}}
    report["versions"]["torch"] = torch.__version__
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    report["threads"] = torch.get_num_threads()
    if arguments.seed is not None:
        engine.set_random_state(arguments.seed)

    clock = EpochClock()
    report["stages"] = {}
    for stage in arguments.stages:
        begin = time.perf_counter()
        run_stage(stage, engine, arguments, clock)
        report["stages"][stage] = time.perf_counter() - begin
        if stage == DECODE:
            report["stages"][stage] = arguments.decode_seconds
        if stage == "split" and arguments.split_from:
            adopt_split(arguments.split_from, arguments.workspace)

    if clock.epochs:
        report["epochs"] = clock.epochs
        report["best_val_loss"] = min(epoch["val_loss"] for epoch in clock.epochs)
    report["max_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.flush()
    os.write(1, (json.dumps(report) + "\n").encode())


if __name__ == "__main__":
    main()
