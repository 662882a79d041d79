#!/usr/bin/env python3
"""Measures what becomes of speech on its way through a bad network and our receiver to a pipeline.

Beside it the same packets go to libopus with ideal playout and to aiortc's receiver. `script/quality` runs this.
"""

import argparse
import concurrent.futures
import datetime
import functools
import re
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

import measure
import report
from cells import Cell, matrix, quick
from speech import VOICES

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def tasks(binary: str, cells: list[Cell], voices: list[str], seeds: int) -> list[measure.Task]:
    """One for each voice, seed and encoding, the longest first."""
    made = []
    for encoding in dict.fromkeys(cell.encoding for cell in cells):
        for voice in voices:
            for seed in range(seeds):
                some = tuple(cell for cell in cells if cell.encoding == encoding and (cell.is_random or seed == 0))
                made += [measure.Task(binary, voice, encoding, seed, some)] if some else []
    return sorted(made, key=lambda task: -len(task.cells))


def mean(results: list[dict]) -> dict:
    """Over voices and seeds."""
    return {receiver: {figure: float(np.mean([result[receiver][figure] for result in results]))
                       for figure in results[0][receiver]} for receiver in results[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/quality-replay")
    parser.add_argument("--quick", action="store_true", help="six cells, one voice, one seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--voices", type=int, default=len(VOICES))
    parser.add_argument("--drift-minutes", type=float, default=30)
    parser.add_argument("--write", metavar="FILE", help="put the table between the marks in this file")
    options = parser.parse_args()
    cells = quick() if options.quick else matrix()
    started = time.monotonic()
    found = defaultdict(list)
    # Unlike multiprocessing's pool this one says so when a worker dies.
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        voices, seeds = (VOICES[:1], 1) if options.quick else (VOICES[: options.voices], options.seeds)
        for results in pool.map(measure.run, tasks(options.binary, cells, voices, seeds)):
            for name, result in results:
                found[name].append(result)
        rates = [] if options.quick else [0, 200, -200]
        drift = functools.partial(measure.drift, options.binary, options.drift_minutes * 60)
        drifts = dict(zip(rates, pool.map(drift, rates)))
    averages = {name: mean(results) for name, results in found.items()}
    checks = report.checks(cells, averages, drifts)
    words = [word for word in sys.argv[1:] if word not in ("--binary", options.binary)]
    command = " ".join(["script/quality", *words])
    text = "\n".join([
        f"{datetime.date.today()}, `{command}`, {len(voices)} voice(s), {seeds} seed(s):", "",
        report.table(cells, averages, drifts), "", "| holds | what |", "|---|---|",
        *(f"| {'yes' if holds else '**no**'} | {claim} |" for holds, claim in checks)])
    print(text)
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    if options.write:
        page = Path(options.write)
        page.write_text(re.sub(
            f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page.read_text(), flags=re.DOTALL))
    return 0 if all(holds for holds, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
