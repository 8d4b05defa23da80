#!/usr/bin/env python3
"""Score synthetic tables against the original with mostlyai-qa and print the mean over all given files.

Give each side's files, one per seed, under a label:

    python quality.py --original TABLE.csv.gz --synthetic argn=a1.csv,a2.csv,a3.csv --synthetic peer=p1.csv,p2.csv,p3.csv

By default only the accuracy is computed (uni-, bi- and trivariate, as in the report of mostlyai-qa; a minute each).
`--full` makes the whole report, with similarity and distances, from the embedding model that mostlyai-qa ships: the
network is not used in either case. `--holdout` then names rows kept from training (CSV or Parquet), and `--original`
should hold the training rows only. Run it with the Python of the peer's environment.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

ACCURACY = ("overall", "univariate", "bivariate", "trivariate", "overall_max")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--synthetic", action="append", required=True, metavar="LABEL=FILE[,FILE]...")
    parser.add_argument("--holdout", type=Path, help="rows kept from training, for --full")
    parser.add_argument("--full", action="store_true", help="whole report, with similarity and distances")
    parser.add_argument("--reports", type=Path, help="keep the HTML reports of --full in this folder")
    parser.add_argument("--seed", type=int, default=1, help="of the samples that mostlyai-qa draws")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    arguments = parser.parse_args()
    if arguments.holdout and not arguments.full:
        parser.error("--holdout needs --full")
    return arguments


def read_table(path: Path):
    import pandas as pd

    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def accuracy_only(original, synthetic) -> dict:
    """The accuracy part of `qa.report`, by the same functions in the same order, without plots and embeddings."""
    from mostlyai.qa._accuracy import bin_data, calculate_bivariates, calculate_trivariates, calculate_univariates
    from mostlyai.qa._sampling import prepare_data_for_accuracy

    ori = prepare_data_for_accuracy(df_tgt=original, setup="1:1")
    syn = prepare_data_for_accuracy(df_tgt=synthetic, setup="1:1", ori_dtypes=ori.dtypes.to_dict())
    ori_bin, bins = bin_data(df=ori, bins=10)
    syn_bin, _ = bin_data(df=syn, bins=bins)
    parts = {
        "univariate": calculate_univariates(ori_bin, syn_bin),
        "bivariate": calculate_bivariates(ori_bin, syn_bin),
        "trivariate": calculate_trivariates(ori_bin, syn_bin),
    }
    scores = {name: float(part.accuracy.mean()) for name, part in parts.items()}
    scores["overall"] = statistics.mean(scores.values())
    scores["overall_max"] = statistics.mean(float(part.accuracy_max.mean()) for part in parts.values())
    return {"accuracy": scores}


def full_report(original, synthetic, holdout, report_path: Path) -> dict:
    from mostlyai import qa

    _, metrics = qa.report(
        syn_tgt_data=synthetic,
        trn_tgt_data=original,
        hol_tgt_data=holdout,
        report_path=report_path,
        max_sample_size_embeddings=10_000,
    )
    return metrics.model_dump(by_alias=False)


def score(arguments: argparse.Namespace, label: str, path: Path, scratch: Path) -> dict:
    from mostlyai.qa.random_state import set_random_state

    set_random_state(arguments.seed)
    begin = time.perf_counter()
    original = read_table(arguments.original)
    synthetic = read_table(path)
    if missing := [column for column in original.columns if column not in synthetic.columns]:
        raise SystemExit(f"{path}: column {missing[0]!r} of the original table is missing")
    synthetic = synthetic[original.columns]
    if arguments.full:
        holdout = read_table(arguments.holdout) if arguments.holdout else None
        metrics = full_report(original, synthetic, holdout, scratch / f"{label}-{path.stem}.html")
    else:
        metrics = accuracy_only(original, synthetic)
    return {"file": path.name, "seconds": time.perf_counter() - begin, **metrics}


def main() -> None:
    arguments = parse_arguments()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.reports or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        for entry in arguments.synthetic:
            label, _, files = entry.partition("=")
            if not files:
                raise SystemExit(f"--synthetic {entry}: write LABEL=FILE")
            results[label] = [score(arguments, label, Path(name), scratch) for name in files.split(",")]

    print("| accuracy | " + " | ".join(f"{label} ({len(runs)} files)" for label, runs in results.items()) + " |")
    print("|---|" + "---|" * len(results))
    for name in ACCURACY:
        cells = []
        for runs in results.values():
            values = [100 * run["accuracy"][name] for run in runs]
            spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.2f} %{spread}")
        print(f"| {name.replace('_max', ', the most that sampling allows')} | " + " | ".join(cells) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
