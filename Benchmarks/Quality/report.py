"""The table and the checks."""

import math

from cells import BLACKOUT, BURST, CLEAN, DUPLICATE, JITTER, LOSS, PAUSES, REORDER, Cell

HEAD = """\
| network | packets | PESQ ideal | ours | aiortc | STOI ideal | ours | aiortc | holes ours | aiortc | silence ours | aiortc \
| clock ours | aiortc | late ours | aiortc | delay ours | aiortc |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""
TITLES = {
    LOSS: "Random loss", BURST: "Loss in bursts", PAUSES: "Pauses not sent", JITTER: "Jitter", REORDER: "Reordering",
    DUPLICATE: "Duplicates",
}


def table(cells: list[Cell], results: dict, drifts: dict) -> str:
    lines = [HEAD]
    for group, title in TITLES.items():
        rows = [cell for cell in cells if cell.group == group]
        if rows:
            lines.append(f"| **{title}** |" + " |" * 17)
        lines += [row(cell, results[cell.name]) for cell in rows]
    outages = [cell for cell in cells if cell.group == BLACKOUT]
    if outages:
        lines += ["", "| blackout | sound again after, ours | aiortc |", "|---|---|---|"]
        lines += ["| {} | {:.0f} ms | {:.0f} ms |".format(
            cell.network, *(results[cell.name][name]["recovery"] for name in ("ours", "aiortc"))) for cell in outages]
    if drifts:
        lines += ["", "| sender's clock | packets | frames of speech | concealed | late | surplus |",
                  "|---|---|---|---|---|---|"]
        lines += ["| {:+} ppm | {} | {} | {} | {} | {} |".format(
            ppm, counts["packets"], spoken(counts), counts["concealed"], counts["late"], counts["surplus"])
            for ppm, counts in drifts.items()]
    return "\n".join(lines)


def row(cell: Cell, result: dict) -> str:
    ideal, ours, aiortc = (result[name] for name in ("ideal", "ours", "aiortc"))
    each = (ideal, ours, aiortc)
    return "| " + " | ".join([
        cell.network, cell.encoding.name, *(f"{one['pesq']:.2f}" for one in each),
        *(f"{one['stoi']:.3f}" for one in each), *(f"{one['holes']:.0f}" for one in each[1:]),
        *(f"{one['silence']:.0f}" for one in each[1:]), *(f"{-round(one['lost']):+}" for one in each[1:]),
        *(f"{one['late']:.1f} %" for one in each[1:]),
        *(f"{one['p50']:.0f} / {one['p95']:.0f}" for one in each[1:])]) + " |"


def spoken(counts: dict) -> int:
    return counts["frames"] - counts["silent"]


def checks(cells: list[Cell], results: dict, drifts: dict) -> list[tuple[bool, str]]:
    """Of each requirement, whether it holds, and the figure that says so."""
    lines = []

    def check(claim: str, value: float, limit: float, unit: str = "") -> None:
        # A figure that is missing holds nothing.
        lines.append((not math.isnan(value) and value <= limit, f"{claim}: {value:.2f}{unit} (≤ {limit}{unit})"))

    def named(group: str) -> list[Cell]:
        return [cell for cell in cells if cell.group == group]

    def pesq(name: str, receiver: str = "ours") -> float:
        return results[name][receiver]["pesq"]

    for group in (LOSS, BURST):
        deficits = {cell.name: pesq(cell.name, "ideal") - pesq(cell.name) for cell in named(group)
                    if cell.network != "30 % loss"}
        worst = max(deficits, key=deficits.get)
        check(f"PESQ below ideal playout, {TITLES[group].lower()}, worst at {worst}", deficits[worst], 0.2)
    above = {f"{receiver} at {cell.name}": pesq(cell.name, receiver) - pesq(cell.name, "ideal")
             for cell in cells if cell.group in TITLES for receiver in ("ours", "aiortc")}
    worst = max(above, key=above.get)
    check(f"the measure can be trusted: PESQ above ideal playout, {worst}", above[worst], 0.2)
    for name in ("5 % loss, 24k, FEC",):
        if name in results:
            gain = pesq(name) - pesq("5 % loss, 24k")
            ideal = pesq(name, "ideal") - pesq("5 % loss, 24k", "ideal")
            lines.append((gain >= 0.4, f"PESQ gained by FEC, {name}: {gain:.2f}, ideal playout {ideal:.2f} (≥ 0.4)"))
    limits = {"± 30 ms": (0.5, 80), "spikes to 60 ms": (0.5, 80), "± 100 ms": (2, 240), "spikes to 200 ms": (2, 240)}
    for cell in named(JITTER):
        if cell.network in limits:
            late, delay = limits[cell.network]
            check(f"late frames, {cell.network}", results[cell.name]["ours"]["late"], late, " %")
            check(f"added delay p95, {cell.network}", results[cell.name]["ours"]["p95"], delay, " ms")
    for group, limit in ((REORDER, 0.1), (DUPLICATE, 0.0)):
        for cell in named(group):
            drop = pesq(CLEAN.name) - pesq(cell.name)
            check(f"PESQ drop, {cell.network}", round(drop, 3), limit)
    for cell in named(BLACKOUT):
        check(f"sound again, {cell.network}", results[cell.name]["ours"]["recovery"], 500, " ms")
    for ppm, counts in drifts.items():
        wrong = counts["concealed"] + counts["late"] + counts["surplus"] + abs(spoken(counts) - spoken(drifts[0]))
        check(f"frames concealed, late, left out or put in, {ppm:+} ppm", wrong, 0)
    return lines
