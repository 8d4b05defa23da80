#!/usr/bin/env python3
"""Use a workspace of each side in the other and compare what both say of the same rows.

    python interchange.py TABLE.csv.gz --argn target/release/argn

Both sides train briefly on the table, in workspaces of their own; `weights.py` converts the weights. Then `argn` and the
peer give the log-likelihood of the same rows under either model, in the order of the columns. Rows with nulls are left out: there the
peer draws at random. Prints the largest difference for each model. Run it with the Python of the peer's environment.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


def run(*command) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def by_argn(argn: Path, workspace: Path, rows: Path):
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.csv"
        run(argn, "log-prob", rows, "-w", workspace, "--orders", "1", "-o", out, "--quiet")
        return pd.read_csv(out)["log_prob"].to_numpy()


def by_peer(workspace: Path, rows: Path):
    import pandas as pd
    import torch
    from mostlyai.engine._tabular.probability import log_prob
    from mostlyai.engine._workspace import Workspace

    return log_prob(workspace=Workspace(workspace), data=pd.read_csv(rows), ctx_data=None, device=torch.device("cpu"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--argn", type=Path, default=Path("target/release/argn"))
    parser.add_argument("--columns", help="columns to use, with commas between (default: all)")
    parser.add_argument("--rows", type=int, default=100, help="rows to compare (default 100)")
    parser.add_argument("--max-epochs", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=1e-3, help="largest difference in nats that is accepted")
    arguments = parser.parse_args()

    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        table = pd.read_csv(arguments.table)
        if arguments.columns:
            table = table[arguments.columns.split(",")]
        whole, rows = folder / "table.csv", folder / "rows.csv"
        table.to_csv(whole, index=False)
        table.dropna().head(arguments.rows).to_csv(rows, index=False)
        ours, theirs = folder / "ours", folder / "theirs"
        epochs = ("--max-epochs", arguments.max_epochs)
        run(arguments.argn, "fit", whole, "-w", ours, "--seed", "1", "--quiet", *epochs)
        run(
            sys.executable, HERE / "peer_job.py", "split,analyze,encode,train",
            "--workspace", theirs, "--table", whole, "--seed", "1", *epochs,
        )  # fmt: skip
        store = Path("ModelStore/model-data")
        names = (store / "model-weights.safetensors", store / "model-weights.pt")
        run(sys.executable, HERE / "weights.py", ours / names[0], ours / names[1])
        run(sys.executable, HERE / "weights.py", theirs / names[1], theirs / names[0])
        worst = 0.0
        for name, workspace in (("argn", ours), ("the peer", theirs)):
            here, there = by_argn(arguments.argn, workspace, rows), by_peer(workspace, rows)
            difference = float(abs(here - there).max())
            worst = max(worst, difference)
            print(
                f"model trained by {name}: {len(here)} rows, mean log-likelihood {here.mean():.4f} (argn) and "
                f"{there.mean():.4f} (peer), largest difference {difference:.2e}"
            )
        if worst > arguments.tolerance:
            raise SystemExit(f"the two differ by {worst:.2e} nats, more than {arguments.tolerance:.0e}")


if __name__ == "__main__":
    main()
