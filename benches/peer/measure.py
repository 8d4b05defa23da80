"""Run a program and measure it; describe the machine. Standard library only.

The peak memory of a child that was just forked starts from its parent's, so whoever measures must stay small: import
no pandas here.
"""

import csv
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


class JobFailed(Exception):
    """A measured program ended with an error; the text holds the command and the end of what it said."""


@dataclass
class Run:
    """One finished program: wall-clock and processor seconds, peak memory in MB (10^6 bytes), standard output."""

    wall: float
    cpu: float
    peak_mb: float
    output: str

    def json(self) -> dict:
        """The last line of the output, which `peer_job.py` makes JSON."""
        return json.loads(self.output.strip().splitlines()[-1])


def run(command: list, environment: dict) -> Run:
    """Run `command` to its end and measure it from start to exit. Raises JobFailed when it does not exit with 0."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            said = (errors.read().strip() or output.read().strip())[-2000:]
            raise JobFailed(f"{' '.join(command)}\nended with {process.returncode}:\n{said}")
        # Linux counts in KiB
        return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, output.read())


def epochs_of(workspace: Path) -> list[dict]:
    """The ends of epochs in a workspace's progress messages: seconds since the start, samples, validation loss."""
    path = workspace / "ModelStore" / "model-data" / "progress-messages.csv"
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val_loss")]
    return [
        {"seconds": float(row["total_time"]), "samples": int(row["samples"]), "val_loss": float(row["val_loss"])}
        for row in rows
    ]


def rows_per_second(epochs: list[dict]) -> float:
    """Training rows per second, validation included, from the first epoch's end to the last's: the first one warms up.

    The progress file rounds times to 0.1 s, so a quick trainer needs enough epochs.
    """
    if len(epochs) < 2:
        raise JobFailed("fewer than two epochs were trained: nothing to measure the speed on")
    first, last = epochs[0], epochs[-1]
    seconds = last["seconds"] - first["seconds"]
    if seconds <= 0:
        raise JobFailed("the epochs took no measurable time: train more of them")
    return (last["samples"] - first["samples"]) / seconds


def stripped_size_mb(binary: Path) -> float:
    """Size of the binary without symbols, in MB (10^6 bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / "stripped"
        subprocess.run(["strip", "-o", stripped, binary], check=True)
        return stripped.stat().st_size / 1e6


def machine(cpus: list[int]) -> dict:
    """What the numbers were measured on, for the head of the table."""
    info = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        info.setdefault(key.strip(), value.strip())
    flags = set(info.get("flags", info.get("Features", "")).split())
    simd = [name for name in ("avx2", "avx512f", "asimd", "sve") if name in flags]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    return {
        "processor": info.get("model name", platform.machine()),
        "simd": simd,
        "cores_used": len(cpus),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
    }
