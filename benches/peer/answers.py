#!/usr/bin/env python3
"""Measure what a trained model answers: how good its answers are, and how fast, beside the peer (mostlyai-engine).

    ./setup.sh
    cargo build --release --bin argn --bin serve_rows
    cargo build --release -p engine-benches --bin answer_rows
    python3 answers.py ../../examples/data/census.csv.gz --repeat 3 --out result.md --json result.json

`argn` learns four fifths of the table. Both sides then answer from this same model: `weights.py` converts its weights, the peer reads the
workspace. Each question is asked of `argn`, then of the peer, then again of `argn` and so on. Like is compared with like: the call alone, from rows in
memory to the answer in memory with loading the model, and whole processes with reading and writing. README.md says what each row measures.
"""

import argparse
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path

import distributions
import measure
from compare import environment, spread

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ORDERS = (1, 2, 4, 8, 16)
SHARE = 0.5
SAMPLED = 20_000
PARTS = ("orders", "imputation", "rebalancing", "fairness", "latency", "peer")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV table, plain or gzip, without nulls")
    parser.add_argument("--target", default="income", help="categorical column that is predicted")
    parser.add_argument("--value", default=">50K", help="its value that is rebalanced")
    parser.add_argument("--sensitive", default="sex", help="column by which the target is made fair")
    parser.add_argument("--seed-columns", default="age,education,sex", help="columns that are known when rows are drawn")
    parser.add_argument("--argn", type=Path, default=ROOT / "target" / "release" / "argn")
    parser.add_argument("--serve-rows", type=Path, help="the example program (default: beside argn)")
    parser.add_argument("--answer-rows", type=Path, help="the program that times calls of the library (default: beside argn)")
    parser.add_argument("--peer-python", type=Path, default=HERE / ".venv" / "bin" / "python")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3, help="turns beside the peer (default 3)")
    parser.add_argument("--models", type=int, default=1, help="seeds that the quality is averaged over (default 1)")
    parser.add_argument("--peer-impute-rows", type=int, default=1_000, help="rows that the peer imputes (default 1,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, help="keep workspaces and tables in this folder")
    parser.add_argument("--out", type=Path, help="Markdown file (default: standard output)")
    parser.add_argument("--json", type=Path, help="file for all raw numbers")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts.split(",")
    arguments.serve_rows = arguments.serve_rows or arguments.argn.parent / "serve_rows"
    arguments.answer_rows = arguments.answer_rows or arguments.argn.parent / "answer_rows"
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"unknown part: {unknown[0]}")
    needed = [arguments.table, arguments.argn]
    needed += [arguments.serve_rows] if "latency" in arguments.parts else []
    needed += [arguments.peer_python, arguments.answer_rows] if "peer" in arguments.parts else []
    for path in needed:
        if not path.exists():
            parser.error(f"{path} does not exist (see README.md)")
    return arguments


class Job:
    """One model and all questions to it."""

    def __init__(self, arguments: argparse.Namespace, seed: int, work: Path) -> None:
        self.arguments, self.seed, self.folder = arguments, seed, work / f"seed-{seed}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.environment = environment(arguments.threads, self.folder)
        self.workspace = self.folder / "ws"
        self.header, self.rows = distributions.read(arguments.table)
        rows, draw = list(self.rows), random.Random(seed)
        draw.shuffle(rows)
        cut = len(rows) * 4 // 5
        self.train, self.test = rows[:cut], rows[cut:]
        for name, part in (("train", self.train), ("test", self.test), ("whole", self.rows)):
            distributions.write(self.file(name), self.header, part)
        self.holes = [[draw.random() < 0.2 for _ in self.header] for _ in self.rows]
        holed = [["" if hole else cell for cell, hole in zip(*both)] for both in zip(self.rows, self.holes)]
        distributions.write(self.file("holes"), self.header, holed)
        distributions.write(self.file("few-holes"), self.header, holed[: arguments.peer_impute_rows])
        known = [self.header.index(name) for name in arguments.seed_columns.split(",")]
        known_rows = [[row[at] for at in known] for row in self.rows]
        distributions.write(self.file("seeds"), [self.header[at] for at in known], known_rows)
        self.argn("fit", self.file("train"), "-w", self.workspace)
        self.told(f"{len(self.train)} rows learnt, {len(self.test)} for the test")

    def told(self, text: str) -> None:
        print(f"  seed {self.seed}: {text}", file=sys.stderr, flush=True)

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.csv"

    def argn(self, *parts) -> measure.Run:
        shared = ("--seed", self.seed, "--threads", self.arguments.threads, "--quiet")
        return measure.run([self.arguments.argn, *parts, *shared], self.environment)

    def answered(self, name: str, *command) -> list[list[str]]:
        self.argn(*command, "-w", self.workspace, "-o", self.file(name))
        return distributions.read(self.file(name))[1]

    def orders(self) -> dict:
        """Scores by the number of column orders that are averaged."""
        found = {}
        for orders in ORDERS:
            command = ("evaluate", "-w", self.workspace, "--test", self.file("test"), "--target", self.arguments.target)
            run = self.argn(*command, "--json", "--orders", orders)
            scores = json.loads(run.output)
            classes = scores["classes"]["model"]
            found[str(orders)] = {
                **{key: classes[key] for key in ("auc", "accuracy", "log_loss", "calibration_error")},
                "log_likelihood": scores["log_likelihood"]["model"],
                "seconds": run.wall,
            }
            self.told(f"{orders} orders: {found[str(orders)]}")
        return found

    def imputation(self) -> dict:
        filled = self.answered("filled", "impute", self.file("holes"))
        changed = sum(
            cell != new
            for row, after, holes in zip(self.rows, filled, self.holes)
            for cell, new, hole in zip(row, after, holes)
            if not hole
        )
        single, pairs = distributions.filled_alike(self.header, self.rows, filled, self.holes)
        worst, worst_pair = min(single, key=single.get), min(pairs, key=pairs.get)
        found = {
            "univariate": statistics.mean(single.values()),
            "bivariate": statistics.mean(pairs.values()),
            "worst_column": [worst, single[worst]],
            "worst_pair": ["|".join(worst_pair), pairs[worst_pair]],
            "known_cells_changed": changed,
        }
        self.told(f"imputation: {found}")
        return found

    def share(self, rows: list[list[str]], where=lambda row: True) -> float:
        at = self.header.index(self.arguments.target)
        values = [row[at] for row in rows if where(row)]
        return sum(value == self.arguments.value for value in values) / len(values)

    def rebalancing(self) -> dict:
        asked = ("sample", "-n", SAMPLED, "--rebalance", f"{self.arguments.target}:{self.arguments.value}={SHARE}")
        expected, exact = self.answered("expected", *asked), self.answered("exact", *asked, "--exact")
        found = {
            "distance": abs(self.share(expected) - SHARE),
            "rows_off_when_exact": round(abs(self.share(exact) - SHARE) * SAMPLED),
        }
        self.told(f"rebalancing: {found}")
        return found

    def fairness(self) -> dict:
        target, sensitive = self.arguments.target, self.arguments.sensitive
        plain = self.answered("plain", "sample", "-n", SAMPLED)
        fair = self.answered("fair", "sample", "-n", SAMPLED, "--fairness", f"{target}:{sensitive}")
        at = self.header.index(sensitive)

        def gap(rows: list[list[str]]) -> float:
            groups = sorted({row[at] for row in rows if row[at] != "_RARE_"})
            shares = [self.share(rows, lambda row, group=group: row[at] == group) for group in groups]
            return max(shares) - min(shares)

        before = distributions.columns_alike(self.header, self.train, plain)
        after = distributions.columns_alike(self.header, self.train, fair)
        losses = {name: before[name] - after[name] for name in self.header if name != target}
        worst = max(losses, key=losses.get)
        found = {"gap_plain": gap(plain), "gap": gap(fair), "worst_loss": [worst, losses[worst]]}
        found["mean_loss"] = statistics.mean(losses.values())
        self.told(f"fairness: {found}")
        return found

    def latency(self) -> dict:
        found = {}
        for line in measure.run([self.arguments.serve_rows, "quick"], self.environment).output.splitlines():
            what, _, rest = line.partition(":")
            median, ninety, most = (int(n) for n in re.findall(r"(?:median|below) (\d+)", rest))
            found[what] = {"median": median, "90 %": ninety, "99 %": most}
        self.told(f"latency in microseconds: {found}")
        return found

    def questions(self) -> dict:
        """What is asked of both sides: arguments of `argn`, and the file that the peer reads."""
        target = ("--target", self.arguments.target)
        return {
            "proba": (("proba", self.file("test"), *target), self.file("test"), target),
            "log-prob": (("log-prob", self.file("test"), "--orders", 1), self.file("test"), ()),
            "sample": (("sample", "--seed-data", self.file("seeds")), self.file("seeds"), ()),
            "impute": (("impute", self.file("holes")), self.file("few-holes"), ()),
        }

    def peer(self) -> list[dict]:
        store = self.workspace / "ModelStore" / "model-data"
        names = (store / "model-weights.safetensors", store / "model-weights.pt")
        measure.run([self.arguments.peer_python, HERE / "weights.py", *names], self.environment)
        turns = []
        for turn in range(self.arguments.repeat):
            found = {"load": os.getloadavg()[0]}
            for question, (ours, rows, more) in self.questions().items():
                own = self.argn(*ours, "-w", self.workspace, "-o", self.file("answer-argn"))
                command = [self.arguments.answer_rows, question, self.workspace, ours[2] if question == "sample" else ours[1]]
                call = measure.run(command + list(more[1:]), self.environment).json()
                command = [self.arguments.peer_python, HERE / "peer_answers.py", question, "--workspace", self.workspace]
                command += ["--rows", rows, "--out", self.file("answer-peer"), *more]
                command += ["--seed", self.seed + turn, "--threads", self.arguments.threads]
                run = measure.run(command, self.environment)
                job = run.json()
                # The peer makes a batch of each pattern of holes, so its time grows with the rows.
                times = len(self.rows) / self.arguments.peer_impute_rows if question == "impute" else 1
                found[question] = {
                    "argn_call": call["load"] + call["first"],
                    "argn_again": statistics.median(call["further"]),
                    "argn_process": own.wall,
                    "peer_call": job["call"] * times,
                    "peer_process": run.wall + job["call"] * (times - 1),
                }
                found["versions"] = job["versions"]
                self.told(f"turn {turn + 1}: {question}: " + ", ".join(f"{k} {v:.3f} s" for k, v in found[question].items()))
            turns.append(found)
        return turns

    def run(self) -> dict:
        return {part: getattr(self, part)() for part in self.arguments.parts}


# question, its words
ROWS = (
    ("proba", "probabilities of the target, {test:,} rows"),
    ("sample", "sampling around seed data, {whole:,} rows"),
    ("log-prob", "log-likelihood, {test:,} rows"),
    ("impute", "imputation of a fifth of all cells, {whole:,} rows"),
)


def peer_table(turns: list[dict], sizes: dict) -> list[str]:
    lines = [
        "| what | argn, call, s | the same, model loaded | peer, call | ratio | argn, whole process | peer, whole process | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for question, text in ROWS:
        sides = ("argn_call", "argn_again", "peer_call", "argn_process", "peer_process")
        of = {side: [turn[question][side] for turn in turns] for side in sides}
        cells = [text.format(**sizes)]
        for side in sides:
            cells.append(spread(of[side], "{:,.2f}" if side.startswith("peer") else "{:.3f}"))
            if side.startswith("peer"):
                ours = of[side.replace("peer", "argn")]
                each = [theirs / ours for theirs, ours in zip(of[side], ours, strict=True)]
                ratio = statistics.median(of[side]) / statistics.median(ours)
                cells.append(f"**{ratio:,.1f}x** ({min(each):,.1f} to {max(each):,.1f})")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def markdown(result: dict) -> str:
    on, jobs = result["machine"], result["jobs"]
    mean = lambda part, *keys: statistics.mean(pick(job[part], keys) for job in jobs)  # noqa: E731
    lines = [
        f"Measured on {result['date']} on {on['processor']} ({', '.join(on['simd'])}), {on['cores_used']} of {on['cores']} cores, "
        f"{on['memory_gb']} GB memory, {on['system']}; load at the start {result['load']:.2f}; {len(jobs)} model(s).",
        "",
    ]
    if "orders" in jobs[0]:
        lines += ["| orders | AUC | accuracy | log-loss | calibration error | log-likelihood, nats a row | s |", "|---|---|---|---|---|---|---|"]
        for orders in map(str, ORDERS):
            cells = [mean("orders", orders, key) for key in ("auc", "accuracy", "log_loss", "calibration_error", "log_likelihood")]
            cells = [f"{cell:.4f}" for cell in cells] + [f"{mean('orders', orders, 'seconds'):.2f}"]
            lines.append(f"| {orders} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += ["| what | measured |", "|---|---|"]
    if "imputation" in jobs[0]:
        part = jobs[0]["imputation"]
        lines += [
            f"| imputation, 1 - TVD of filled cells, mean of columns | {mean('imputation', 'univariate'):.4f}"
            f" (least {part['worst_column'][1]:.4f}, {part['worst_column'][0]}) |",
            f"| the same of pairs of columns | {mean('imputation', 'bivariate'):.4f}"
            f" (least {part['worst_pair'][1]:.4f}, {part['worst_pair'][0].replace('|', ' and ')}) |",
            f"| known cells that were changed | {mean('imputation', 'known_cells_changed'):.0f} |",
        ]
    if "rebalancing" in jobs[0]:
        lines += [
            f"| rebalancing to {SHARE}, {SAMPLED:,} rows: distance of the share | {mean('rebalancing', 'distance'):.4f} |",
            f"| the same with `--exact`: rows off | {mean('rebalancing', 'rows_off_when_exact'):.0f} |",
        ]
    if "fairness" in jobs[0]:
        part = jobs[0]["fairness"]
        lines += [
            f"| parity gap, {SAMPLED:,} rows (without fairness) | {mean('fairness', 'gap'):.4f} ({mean('fairness', 'gap_plain'):.4f}) |",
            f"| loss of 1 - TVD in the other columns, mean | {mean('fairness', 'mean_loss'):.4f}"
            f" (most {part['worst_loss'][1]:.4f}, {part['worst_loss'][0]}) |",
        ]
    for what, times in jobs[0].get("latency", {}).items():
        cells = f"{times['median']} ({times['90 %']}, {times['99 %']})"
        lines.append(f"| single rows {what}, microseconds: median (90 %, 99 %) | {cells} |")
    if "peer" in jobs[0]:
        versions = ", ".join(f"{name} {version}" for name, version in jobs[0]["peer"][0]["versions"].items())
        turns = [turn for job in jobs for turn in job["peer"]]
        lines += ["", f"Against {versions}; median (least to greatest) of {len(turns)} turns."]
        lines += [f"The peer imputed {result['peer_impute_rows']:,} rows, its time is scaled to all.", ""]
        lines += peer_table(turns, result["sizes"])
    return "\n".join(lines) + "\n"


def pick(value, keys):
    for key in keys:
        value = value[key]
    return value


def main() -> None:
    arguments = parse_arguments()
    cpus = sorted(os.sched_getaffinity(0))[: arguments.threads]
    os.sched_setaffinity(0, cpus)
    result = {"date": date.today().isoformat(), "machine": measure.machine(cpus), "load": os.getloadavg()[0], "jobs": []}
    result["peer_impute_rows"] = arguments.peer_impute_rows
    with tempfile.TemporaryDirectory() as temporary:
        try:
            for number in range(arguments.models):
                job = Job(arguments, arguments.seed + number, arguments.work or Path(temporary))
                result["sizes"] = {"test": len(job.test), "whole": len(job.rows)}
                result["jobs"].append(job.run())
                if arguments.json:
                    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
        except measure.JobFailed as failure:
            raise SystemExit(str(failure)) from None
    text = markdown(result)
    if arguments.out:
        arguments.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
