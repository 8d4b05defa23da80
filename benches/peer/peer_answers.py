#!/usr/bin/env python3
"""Ask the peer (mostlyai-engine) one question about rows of a file and print one line of JSON with the time of the call.

Import, reading of the file and writing of the answer are timed apart. `answers.py` starts this script; by hand, with the Python of the
peer's environment:

    python peer_answers.py proba --workspace WS --rows test.csv --target income --out proba.csv
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

QUESTIONS = ("proba", "log-prob", "sample", "impute")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="CSV table of the rows that are asked about")
    parser.add_argument("--target", help="column whose probabilities are asked for")
    parser.add_argument("--out", type=Path, required=True, help="CSV file for the answer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def ask(arguments: argparse.Namespace, rows):
    """The answer as a frame; everything that it needs has been imported."""
    import pandas as pd
    import torch
    from mostlyai import engine
    from mostlyai.engine._common import load_generated_data
    from mostlyai.engine._tabular.probability import log_prob, predict_proba
    from mostlyai.engine._workspace import Workspace

    cpu, workspace = torch.device("cpu"), Workspace(arguments.workspace)
    if arguments.question == "proba":
        features = rows.drop(columns=arguments.target)
        targets = [arguments.target]
        return predict_proba(workspace=workspace, seed_data=features, target_columns=targets, device=cpu)
    if arguments.question == "log-prob":
        return pd.DataFrame({"log_prob": log_prob(workspace=workspace, data=rows, ctx_data=None, device=cpu)})
    more = {}
    if arguments.question == "impute":
        more["imputation"] = {"columns": list(rows.columns)}
    engine.generate(seed_data=rows, device="cpu", workspace_dir=arguments.workspace, **more)
    return load_generated_data(arguments.workspace)


def main() -> None:
    arguments = parse_arguments()
    begin = time.perf_counter()
    import datasets  # noqa: F401
    import pandas as pd
    import torch
    from mostlyai import engine
    from mostlyai.engine._tabular import encoding, fairness, generation, probability  # noqa: F401

    report = {"import": time.perf_counter() - begin, "versions": {"mostlyai-engine": engine.__version__}}
    report["versions"]["torch"] = torch.__version__
    torch.set_num_threads(arguments.threads)
    engine.set_random_state(arguments.seed)

    begin = time.perf_counter()
    rows = pd.read_csv(arguments.rows)
    report["read"] = time.perf_counter() - begin
    begin, begin_cpu = time.perf_counter(), time.process_time()
    answer = ask(arguments, rows)
    report["call"], report["call_cpu"] = time.perf_counter() - begin, time.process_time() - begin_cpu
    begin = time.perf_counter()
    answer.to_csv(arguments.out, index=False)
    report["write"] = time.perf_counter() - begin
    report["rows"] = len(answer)
    sys.stdout.flush()
    os.write(1, (json.dumps(report) + "\n").encode())


if __name__ == "__main__":
    main()
