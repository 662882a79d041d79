#!/usr/bin/env python3
"""Places calls in every cell of the matrix of networks, and says who got through. `script/nat-matrix` runs this."""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from cells import PROCESSES, PROGRAMS, Cell, Running, expected, matrix, running
from nat_report import Result, checks, heading, tables
from network import sweep

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
RATE = 5.0  # of our own caller's calls, in a second
# How many programs place calls at a time that connect. Those that wait for nothing cost nothing.
BUSY = threading.Semaphore(2)


def our_caller(cell: Running, runs: int, at_once: int) -> list[dict]:
    began = time.monotonic()
    calls = cell.call(runs, None if at_once > 1 else RATE)
    passed = time.monotonic() - began
    return [
        {"connected": True, "seconds": each["first_packet_ms"] / 1000} if each["connected"] else
        {"connected": False, "seconds": passed, "reason": each["error"]}
        for each in calls
    ]


def endings(log: str) -> dict[str, int]:
    """How calls ended, by the gateway's log."""
    return dict(collections.Counter(re.findall(r" reason=(.+?) (?:\w+=\S+ )*\[PatchbayKit\] (?:media|call) ended", log)))


def place(cell: Running, program: str, runs: int) -> Result:
    """Those that should connect one after another, but all at once where the first does not; the others all at once."""
    should, why = expected(cell.cell, program)
    before = len(cell.gateway.log.read_text())
    with BUSY if should else contextlib.nullcontext(), contextlib.ExitStack() as stack:
        if program == "call":
            ask = lambda runs, at_once: our_caller(cell, runs, at_once)  # noqa: E731
        else:
            ask = stack.enter_context(cell.caller(program))
        outcomes = ask(1, 1) if should else ask(runs, runs)
        if rest := runs - len(outcomes):
            outcomes += ask(rest, 1 if outcomes[0]["connected"] else rest)
    cell.gateway.await_idle(5)
    return Result(str(cell.cell), program, should, why, outcomes, endings(cell.gateway.log.read_text()[before:]))


def visit(cell: Cell, programs: list[str], runs: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as directory, running(cell, Path(directory), changes={"seats": 100}) as made:
        return [place(made, program, runs) for program in programs]


def stop(*_) -> None:
    raise KeyboardInterrupt


def visit_all(cells: list[Cell], programs: list[str], runs: int, lanes: int) -> tuple[list[Result], list[str]]:
    """The results, and what went wrong besides. Those cells first that take longest, for nobody gets through."""
    results, faults = [], []
    pool = concurrent.futures.ThreadPoolExecutor(lanes)
    order = sorted(cells, key=lambda cell: sum(expected(cell, name)[0] for name in programs))
    futures = {pool.submit(visit, cell, programs, runs): cell for cell in order}
    try:
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            print(f"{done}/{len(futures)}  {futures[future]}", file=sys.stderr)
            if error := future.exception():
                traceback.print_exception(error)
                faults.append(f"{futures[future]}: {error}")
                continue
            for result in future.result():
                results.append(result)
                print(f"    {result.program:9}{result}", file=sys.stderr)
                for fault in result.faults():
                    print(f"    !! {fault}", file=sys.stderr)
                    faults.append(f"{result.cell}: {result.program}: {fault}")
    except KeyboardInterrupt:
        print("Cleaning up", file=sys.stderr)
        pool.shutdown(wait=False, cancel_futures=True)
        PROCESSES.stop()
        pool.shutdown(wait=True)
        raise
    return results, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="", metavar="REGEX", help="only those whose names have it")
    parser.add_argument("--callers", default=",".join(PROGRAMS), help="which; all are %(default)s")
    parser.add_argument("--runs", type=int, default=20, help="calls of each caller in each cell")
    parser.add_argument("--lanes", type=int, default=8, help="how many cells at a time; most of the time most of them wait")
    parser.add_argument("--list", action="store_true", help="name the cells and who should get through, and place no call")
    parser.add_argument("--keep", metavar="FILE", type=Path, help="write all figures there, as JSON")
    parser.add_argument("--read", metavar="FILE", type=Path, help="place no call, but take an earlier run's figures")
    parser.add_argument("--write", metavar="FILE", type=Path, help="put the tables between the marks in this file")
    options = parser.parse_args()
    programs = options.callers.split(",")
    cells = [cell for cell in matrix() if re.search(options.cells, str(cell))]
    if options.list:
        for cell in cells:
            print(cell)
            for name in programs:
                print(f"    {name:9}", *("yes, " if expected(cell, name)[0] else "no, ", expected(cell, name)[1]), sep="")
        return 0

    started = time.monotonic()
    if options.read:
        kept = json.loads(options.read.read_text())
        about, results, faults = kept["about"], [Result(**each) for each in kept["results"]], []
    else:
        signal.signal(signal.SIGTERM, stop)
        sweep()
        about = heading(" ".join(["script/nat-matrix", *sys.argv[1:]]), options.runs)
        try:
            results, faults = visit_all(cells, programs, options.runs, options.lanes)
        except KeyboardInterrupt:
            return 130
    if options.keep:
        options.keep.write_text(json.dumps({"about": about, "results": [dataclasses.asdict(each) for each in results]}, indent=1))
    text = f"{about}\n\n{tables(cells, results)}"
    print(text)
    if options.write:
        page = options.write.read_text()
        options.write.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))
    print(*faults, f"{time.monotonic() - started:.0f} s", sep="\n", file=sys.stderr)
    return 0 if not faults and all(holds for holds, _ in checks(results)) else 1


if __name__ == "__main__":
    sys.exit(main())
