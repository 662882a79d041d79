"""Every option that the JSON Schema has, written wrong: `patchbay check` and an editor both find it, and where it stands."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest

import editor
from gateway import BINARY, patchbay

# Whatever an option is, most of these are not it.
WRONG = ["[[a]]", "{ no-such-key: [1] }", "-7", '"\\u0007"', '""', "null", "~", "nonsense at all"]
# Whatever is written here is passed on as it is.
FREE = {("settings:", "x:"), ("openai_realtime:", "session:"), ("type: jwt", "required:")}


def options(schema: dict, lines: tuple[str, ...] = (), indent: str = ""):
    """Each option under a schema: the lines of YAML that lead to it, and the schema of its value."""
    for member in schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from options(member, lines, indent)
    kind = schema.get("properties", {}).get("type", {}).get("const")
    lead = (*lines, f"{indent}type: {kind}") if kind else lines
    for name, value in schema.get("properties", {}).items():
        if name == "type" and kind:
            continue
        line = f"{indent}{name}:"
        yield (*lead, line), value
        yield from options(value, (*lead, line), indent + "  ")
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield (*lines, f"{indent}x:"), values
        yield from options(values, (*lines, f"{indent}x:"), indent + "  ")
    if isinstance(items := schema.get("items"), dict):
        yield (*lines, f"{indent}-"), items
        yield from options(items, (*lines, f"{indent}-"), indent + "  ")


@pytest.mark.long
def test_whatever_option_is_wrong_both_say_so_where_it_stands(tmp_path):
    def faults(number: int, text: str) -> list[int]:
        """The lines that `patchbay check` finds fault with."""
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        done = patchbay("check", "-c", file)
        assert done.returncode == 78 and not done.stdout, f"{text}\n{done.stdout}{done.stderr}"
        return [int(line) for line in re.findall(rf"{file.name}:(\d+):", done.stderr)]

    cases, free, found = [], set(), list(options(editor.schema(BINARY)))
    for lines, schema in found:
        validator = jsonschema.Draft202012Validator(schema)
        wrong = [value for value in WRONG if not validator.is_valid(editor.read(value))]
        if not wrong:
            free.add(tuple(line.strip() for line in lines[-2:]))
        text = "\n".join(("version: 1", *lines))
        cases += [(f"{text} {value}\n", len(lines) + 1) for value in wrong]
    assert len(found) > 250 and free == FREE
    with ThreadPoolExecutor(2) as threads:
        lines = list(threads.map(faults, range(len(cases)), [text for text, _ in cases]))
    passed = [text for (text, line), found in zip(cases, lines, strict=True) if line not in found]
    assert not passed, json.dumps(passed, indent=1)
