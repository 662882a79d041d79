"""Each gateway of a test runs with all that it can log, and what it writes is searched for secrets: `gateway.py` starts it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The one does both for everybody. The other starts what documents show, as they show it, and searches that.
STARTERS = {"gateway.py", "test_docs.py"}
FILES = sorted(file for file in (ROOT / "Tests/EndToEnd").glob("*.py") if file.name not in STARTERS)


def is_program(node) -> bool:
    """The built program, or the command of it that is a gateway."""
    match node:
        case ast.Constant(value=str(text)):
            return "serve" in text.split()
        case ast.Name(id="BINARY") | ast.Attribute(attr="binary"):
            return True
    return False


def starts(tree) -> list[int]:
    """The lines at which a gateway is started, or the command for it is put together."""
    lines = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="subprocess" | "asyncio" | "os"))):
                lines |= {each.lineno for each in ast.walk(node) if is_program(each)}
            case ast.List(elts=words) | ast.Tuple(elts=words):
                # The words of commands alone are for `patchbay()`.
                lines |= {
                    word.lineno
                    for before, word in zip(words, words[1:])
                    if isinstance(word, ast.Constant) and word.value == "serve" and not isinstance(before, ast.Constant)
                }
    return sorted(lines)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_gateway_is_started_where_secrets_are_searched_for(file):
    lines = starts(ast.parse(file.read_text()))
    assert not lines, f"{file.name}: {lines}: take Gateway, begin() or patchbay() of gateway.py"


def test_what_is_started_there_logs_all_it_can():
    tree = ast.parse((ROOT / "Tests/EndToEnd/gateway.py").read_text())
    commands = [node for node in ast.walk(tree) if isinstance(node, ast.List) and any(map(is_program, node.elts))]
    assert commands and all("TRACE" in ast.unparse(command) for command in commands)


@pytest.mark.parametrize(
    "text, count",
    [
        ('subprocess.Popen([BINARY, "serve", "-c", config])', 1),
        ('subprocess.Popen([gateway.binary, *words])', 1),
        ('subprocess.run(f"{BINARY} serve", shell=True)', 1),
        ('subprocess.run("patchbay serve -c config.yaml", shell=True)', 1),
        ('command = [program, "serve"]', 1),
        ('await asyncio.create_subprocess_exec(BINARY, "serve")', 1),
        ('patchbay("serve", "-c", config)', 0),
        ('for command in "check", "serve", "test": patchbay(command)', 0),
        ('subprocess.run(["openssl", "rand"])', 0),
    ],
)
def test_the_check_itself_sees_whoever_starts_one(text, count):
    assert len(starts(ast.parse(text))) == count
