"""Every code of a refusal stands in the table of docs/wire.md, and none stands there that nobody says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of a call that goes on: neither the log nor /calls has it as a refusal's.
NO_REFUSAL = {"relay_unavailable"}


def test_codes() -> None:
    files = [*ROOT.glob("Sources/Patchbay*/**/*.swift"), *ROOT.glob("Plugins/*/*/Sources/**/*.swift")]
    source = "\n".join(file.read_text() for file in files if "Templates" not in file.parts)
    said = set(re.findall(r'\bcode: "([a-z_]+)"|\breject\(\s*"([a-z_]+)"', source))
    codes = {code or rejected for code, rejected in said} - NO_REFUSAL
    assert len(codes) > 40

    section = (ROOT / "docs/wire.md").read_text().split("\n## Refusals\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)} - {"code"}
    assert documented == codes
