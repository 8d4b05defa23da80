"""How alike the distributions of two tables are. Standard library only.

Tables are lists of columns of texts. Columns of numbers with more than ten values are cut at the deciles of the first table, all others
keep their nine most frequent values there; what is left is one more bin. So every column has about ten bins and every pair a hundred, which
a few thousand rows can tell apart.
"""

import bisect
import csv
import gzip
from collections import Counter
from itertools import combinations
from pathlib import Path

BINS = 10


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV table, plain or gzip."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="") as file:
        reader = csv.reader(file)
        return next(reader), list(reader)


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def binning(values: list[str]):
    """The bin of a text, by the values of the original."""
    counts = Counter(values)
    numbers = [number(value) for value in values if value != ""]
    if len(counts) > BINS and None not in numbers:
        ordered = sorted(numbers)
        edges = sorted({ordered[len(ordered) * i // BINS] for i in range(1, BINS)})
        return lambda text: bisect.bisect_right(edges, float(text)) if text != "" else -1
    kept = {value for value, _ in counts.most_common(BINS - 1 if len(counts) > BINS else BINS)}
    return lambda text: text if text in kept else "other"


def overlap(a: list, b: list) -> float:
    """1 minus the total variation distance of two samples."""
    (of_a, of_b), (n, m) = (Counter(a), Counter(b)), (max(len(a), 1), max(len(b), 1))
    return sum(min(count / n, of_b[value] / m) for value, count in of_a.items())


def columns_alike(header: list[str], original: list[list[str]], other: list[list[str]]) -> dict[str, float]:
    """1 - TVD of each column."""
    alike = {}
    for at, name in enumerate(header):
        values = [row[at] for row in original]
        bin_of = binning(values)
        alike[name] = overlap([bin_of(value) for value in values], [bin_of(row[at]) for row in other])
    return alike


def filled_alike(
    header: list[str], truth: list[list[str]], filled: list[list[str]], holes: list[list[bool]]
) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """1 - TVD of filled cells against the cells that were there, by column; and of pairs of columns, in rows where one of both was filled."""
    bins = [binning([row[at] for row in truth]) for at in range(len(header))]
    before = [[bin_of(row[at]) for row in truth] for at, bin_of in enumerate(bins)]
    after = [[bin_of(row[at]) for row in filled] for at, bin_of in enumerate(bins)]
    single, pairs = {}, {}
    for at, name in enumerate(header):
        rows = [i for i, row in enumerate(holes) if row[at]]
        single[name] = overlap([before[at][i] for i in rows], [after[at][i] for i in rows])
    for a, b in combinations(range(len(header)), 2):
        rows = [i for i, row in enumerate(holes) if row[a] or row[b]]
        joint = lambda table: [(table[a][i], table[b][i]) for i in rows]  # noqa: E731
        pairs[header[a], header[b]] = overlap(joint(before), joint(after))
    return single, pairs
