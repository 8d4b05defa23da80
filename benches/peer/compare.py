#!/usr/bin/env python3
"""Run `argn` and the peer (mostlyai-engine) turn by turn on one table, on the same cores, and write a table of ratios.

    ./setup.sh
    cargo build --release --bin argn
    python3 compare.py TABLE.csv.gz --repeat 5 --out result.md --json result.json

Each task is run by `argn`, then by the peer, then again by `argn` and so on, so that a slow minute of the machine hits
both. All numbers of all runs go into the JSON file; the Markdown table has medians, their ratio, and the least and
greatest ratio of a single turn. README.md says what each row measures.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path

import measure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TASKS = ("encode", "decode", "train", "whole", "generate")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV table, plain or gzip")
    parser.add_argument("--argn", type=Path, default=ROOT / "target" / "release" / "argn")
    parser.add_argument("--peer-python", type=Path, default=HERE / ".venv" / "bin" / "python")
    parser.add_argument("--threads", type=int, default=2, help="cores that both may use (default 2)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"some of {','.join(TASKS)}")
    parser.add_argument("-n", "--rows", type=int, default=48_842, help="rows to generate (default 48,842)")
    parser.add_argument("--decode-rows", type=int, default=1_000_000, help="rows of the task decode (default 1,000,000)")
    parser.add_argument("--model", default="medium", choices=("small", "medium", "large"))
    parser.add_argument("--batch-size", type=int, default=512, help="of the task train (default 512)")
    parser.add_argument("--epochs", type=int, default=4, help="that the peer trains in the task train (default 4)")
    parser.add_argument("--argn-epochs", type=int, default=16, help="that argn trains in the task train (default 16)")
    parser.add_argument("--seed", type=int, default=1, help="of the first turn; each further turn adds one")
    parser.add_argument(
        "--shared-split",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give the peer the training and validation rows of argn (default: yes)",
    )
    parser.add_argument("--quality", action="store_true", help="score tables and models of the task whole")
    parser.add_argument("--work", type=Path, help="keep workspaces and synthetic tables in this folder")
    parser.add_argument("--out", type=Path, help="Markdown file (default: standard output)")
    parser.add_argument("--json", type=Path, help="file for all raw numbers")
    arguments = parser.parse_args()
    arguments.tasks = arguments.tasks.split(",")
    if unknown := [task for task in arguments.tasks if task not in TASKS]:
        parser.error(f"unknown task: {unknown[0]}")
    if "generate" in arguments.tasks and "whole" not in arguments.tasks:
        parser.error("the task generate samples from the models of the task whole")
    if arguments.quality and "whole" not in arguments.tasks:
        parser.error("--quality scores tables and models of the task whole")
    for path in (arguments.table, arguments.argn, arguments.peer_python):
        if not path.exists():
            parser.error(f"{path} does not exist (see README.md)")
    return arguments


def environment(threads: int, scratch: Path) -> dict:
    """Both sides get the same thread count; the peer gets no network, a cache of its own and a fixed memory to plan with."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(scratch / "hf"),
        "MOSTLY_ENGINE_AVAILABLE_RAM_FOR_HEURISTICS": "16g",
    }


class Turn:
    """One turn of all tasks: `argn` first, because the peer may adopt its split."""

    def __init__(self, arguments: argparse.Namespace, number: int, work: Path) -> None:
        self.arguments = arguments
        self.seed = arguments.seed + number
        self.folder = work / f"turn-{number}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.environment = environment(arguments.threads, self.folder)
        self.values: dict[str, dict[str, float]] = {}
        self.versions: dict[str, str] = {}

    def record(self, what: str, **sides: float) -> None:
        self.values.setdefault(what, {}).update(sides)
        print(f"  seed {self.seed}: {what}: " + ", ".join(f"{k} {v:.3f}" for k, v in sides.items()), file=sys.stderr)

    def argn(self, *parts) -> measure.Run:
        shared = ("--seed", self.seed, "--threads", self.arguments.threads, "--quiet")
        return measure.run([self.arguments.argn, *parts, *shared], self.environment)

    def peer(self, stages: str, workspace: Path, *parts) -> measure.Run:
        command = [self.arguments.peer_python, HERE / "peer_job.py", stages, "--workspace", workspace, *parts]
        shared = ("--seed", self.seed, "--threads", self.arguments.threads)
        return measure.run([*command, *shared], self.environment)

    def split_from(self, workspace: Path) -> tuple:
        return ("--split-from", workspace) if self.arguments.shared_split else ()

    def split(self) -> None:
        """Not measured: both tasks below start from a split table."""
        ours, theirs = self.folder / "stages-argn", self.folder / "stages-peer"
        self.argn("split", self.arguments.table, "-w", ours)
        self.peer("split", theirs, "--table", self.arguments.table, *self.split_from(ours))

    def encode(self) -> None:
        ours, theirs = self.folder / "stages-argn", self.folder / "stages-peer"
        wall = sum(self.argn(stage, "-w", ours).wall for stage in ("analyze", "encode"))
        run = self.peer("analyze,encode", theirs)
        job = run.json()
        self.record("encode", argn=wall, peer=sum(job["stages"].values()), peer_process=run.wall)
        self.record("import", peer=job["import"])
        self.versions = job["versions"]

    def decode(self) -> None:
        """Random valid codes of both sides' statistics; only decoding is timed, in either process."""
        ours, theirs = self.folder / "stages-argn", self.folder / "stages-peer"
        rows = self.arguments.decode_rows
        job = measure.run([self.arguments.argn.parent / "decode_rows", ours, rows], self.environment).json()
        run = self.peer("decode", theirs, "-n", rows)
        self.record("decode", argn=job["seconds"], peer=run.json()["stages"]["decode"])

    def train(self) -> None:
        ours, theirs = self.folder / "stages-argn", self.folder / "stages-peer"
        options = ("--model", self.arguments.model, "--batch-size", self.arguments.batch_size, "--max-epochs")
        self.argn("train", "-w", ours, *options, self.arguments.argn_epochs)
        run = self.peer("train", theirs, *options, self.arguments.epochs)
        self.record(
            "train",
            argn=measure.rows_per_second(measure.epochs_of(ours)),
            peer=measure.rows_per_second(run.json()["epochs"]),
        )

    def whole(self) -> None:
        ours, theirs = self.folder / "whole-argn", self.folder / "whole-peer"
        table, model = self.arguments.table, ("--model", self.arguments.model)
        fit = self.argn("fit", table, "-w", ours, *model)
        sample = self.argn("sample", "-w", ours, "-n", self.arguments.rows, "-o", self.folder / "argn.csv")
        out = ("--table", table, "-n", self.arguments.rows, "--out", self.folder / "peer.csv")
        run = self.peer("run", theirs, *model, *out, *self.split_from(ours))
        job = run.json()
        wall = fit.wall + sample.wall
        self.record("whole", argn=wall, peer_process=run.wall, peer=sum(job["stages"].values()))
        self.record("memory", argn=max(fit.peak_mb, sample.peak_mb), peer=run.peak_mb)
        epochs = measure.epochs_of(ours)
        best = min(epoch["val_loss"] for epoch in epochs)
        self.record("loss", argn=best, peer=job["best_val_loss"])
        self.record("epochs", argn=len(epochs), peer=len(job["epochs"]))
        self.versions = job["versions"]

    def judge(self) -> None:
        """The validation loss of both models by the peer's code: see validation_loss.py."""
        sides = {side: self.folder / f"whole-{side}" for side in ("argn", "peer")}
        found = self.folder / "validation-loss.json"
        command = [self.arguments.peer_python, HERE / "validation_loss.py", *sides.values(), "--json", found]
        measure.run(command, self.environment)
        values = json.loads(found.read_text())
        self.record("judged", **{side: statistics.mean(values[str(folder)]) for side, folder in sides.items()})

    def generate(self) -> None:
        ours, theirs = self.folder / "whole-argn", self.folder / "whole-peer"
        rows, out = ("-n", self.arguments.rows), self.folder / "again.csv"
        wall = self.argn("sample", "-w", ours, *rows, "-o", out).wall
        run = self.peer("generate,write", theirs, *rows, "--out", out)
        job = run.json()
        self.record("generate", argn=wall, peer=sum(job["stages"].values()), peer_process=run.wall)

    def run(self) -> dict:
        load = os.getloadavg()[0]
        if {"encode", "decode", "train"} & set(self.arguments.tasks):
            self.split()
            self.encode()  # the others need it too
        for task in ("decode", "train", "whole", "generate"):
            if task in self.arguments.tasks:
                getattr(self, task)()
        if self.arguments.quality:
            self.judge()
        return {"seed": self.seed, "load": load, **self.values}


def quality(arguments: argparse.Namespace, work: Path) -> dict:
    """Score the synthetic tables of all turns; returns the runs of each side."""
    scores = work / "quality.json"
    command = [arguments.peer_python, HERE / "quality.py", "--original", arguments.table, "--json", scores]
    for side in ("argn", "peer"):
        files = ",".join(str(work / f"turn-{number}" / f"{side}.csv") for number in range(arguments.repeat))
        command += ["--synthetic", f"{side}={files}"]
    measure.run(command, environment(arguments.threads, work))
    return json.loads(scores.read_text())


# what, unit, how to write a number, side of the peer, whether a larger number is better
ROWS = (
    ("train", "training, rows/s per epoch", "{:,.0f}", "peer", True),
    ("encode", "analyze + encode, s", "{:.2f}", "peer", False),
    ("encode", "the same against the peer's whole process, s", "{:.2f}", "peer_process", False),
    ("decode", "decoding alone, both in process, s", "{:.2f}", "peer", False),
    ("generate", "generation with decoding and writing, s", "{:.2f}", "peer", False),
    ("generate", "the same against the peer's whole process, s", "{:.2f}", "peer_process", False),
    ("whole", "whole run to early stopping, s", "{:.1f}", "peer_process", False),
    ("whole", "the same without the peer's import, s", "{:.1f}", "peer", False),
    ("memory", "peak memory of the whole run, MB", "{:,.0f}", "peer", False),
)


def spread(values: list[float], form: str, centre=statistics.median) -> str:
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(centre(values))} ({form.format(min(values))} to {form.format(max(values))})"


def ratio_row(turns: list[dict], what: str, text: str, form: str, side: str, larger_is_better: bool) -> str:
    ours = [turn[what]["argn"] for turn in turns]
    theirs = [turn[what][side] for turn in turns]
    better = (lambda a, b: a / b) if larger_is_better else (lambda a, b: b / a)
    ratio = better(statistics.median(ours), statistics.median(theirs))
    each = [better(a, b) for a, b in zip(ours, theirs, strict=True)]
    cells = (text, spread(ours, form), spread(theirs, form), f"**{ratio:.1f}x**", f"{min(each):.1f} to {max(each):.1f}")
    return "| " + " | ".join(cells) + " |"


def plain_row(turns: list[dict], what: str, text: str, form: str, centre=statistics.median) -> str:
    """A row whose difference, not ratio, says something."""
    ours = [turn[what]["argn"] for turn in turns]
    theirs = [turn[what]["peer"] for turn in turns]
    each = [a - b for a, b in zip(ours, theirs, strict=True)]
    signed = form.replace("{:", "{:+")
    cells = (text, spread(ours, form, centre), spread(theirs, form, centre), signed.format(centre(ours) - centre(theirs)))
    return "| " + " | ".join(cells) + f" | {signed.format(min(each))} to {signed.format(max(each))} |"


def quality_row(scores: dict) -> str:
    turns = [
        {"accuracy": {"argn": 100 * ours["accuracy"]["overall"], "peer": 100 * theirs["accuracy"]["overall"]}}
        for ours, theirs in zip(scores["argn"], scores["peer"], strict=True)
    ]
    text = "mostlyai-qa overall accuracy, %, mean (difference)"
    return plain_row(turns, "accuracy", text, "{:.2f}", statistics.mean)


def markdown(result: dict) -> str:
    turns, on, settings = result["turns"], result["machine"], result["settings"]
    split = "the peer trained and validated on argn's split" if settings["shared_split"] else "each side made its own split"
    loads = [turn["load"] for turn in turns]
    lines = [
        f"Measured on {result['date']} on {on['processor']} ({', '.join(on['simd'])}), "
        f"{on['cores_used']} of {on['cores']} cores, {on['memory_gb']} GB memory, {on['system']}; "
        f"load of the machine at the start of the first turn {loads[0]:.2f}.",
        f"Table `{settings['table']}`, model {settings['model']}, {settings['rows']:,} rows generated, "
        f"batch size {settings['batch_size']} for the training speed; {len(turns)} turns; {split}.",
        "Against " + ", ".join(f"{name} {version}" for name, version in result["versions"].items()) + ".",
        "",
        "| what | argn: median (least to greatest) | peer | ratio of medians (argn better above 1) | of single turns |",
        "|---|---|---|---|---|",
    ]
    lines += [ratio_row(turns, *row) for row in ROWS if row[0] in turns[0]]
    if "loss" in turns[0]:
        lines.append(plain_row(turns, "loss", "best validation loss, nats a row (difference)", "{:.4f}"))
        if "judged" in turns[0]:
            lines.append(plain_row(turns, "judged", "the same by the peer's code, mean of many orders", "{:.4f}"))
        lines.append(plain_row(turns, "epochs", "epochs to early stopping (difference)", "{:.0f}"))
    if "quality" in result:
        lines.append(quality_row(result["quality"]))
    lines.append(f"| stripped `argn` binary, MB | {result['binary_mb']:.1f} | | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = parse_arguments()
    cpus = sorted(os.sched_getaffinity(0))[: arguments.threads]
    if len(cpus) < arguments.threads:
        raise SystemExit(f"--threads {arguments.threads}: this process may use {len(cpus)} cores only")
    os.sched_setaffinity(0, cpus)
    result = {
        "date": date.today().isoformat(),
        "machine": measure.machine(cpus),
        "settings": {
            **{name: getattr(arguments, name) for name in ("threads", "repeat", "tasks", "rows", "model", "batch_size")},
            **{name: getattr(arguments, name) for name in ("epochs", "argn_epochs", "seed", "shared_split")},
            "table": arguments.table.name,
        },
        "binary_mb": measure.stripped_size_mb(arguments.argn),
        "versions": {},
        "turns": [],
    }
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        try:
            for number in range(arguments.repeat):
                turn = Turn(arguments, number, work)
                result["turns"].append(turn.run())
                result["versions"] = turn.versions
                if arguments.json:
                    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
            if arguments.quality:
                result["quality"] = quality(arguments, work)
        except measure.JobFailed as failure:
            raise SystemExit(str(failure)) from None
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    text = markdown(result)
    if arguments.out:
        arguments.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
