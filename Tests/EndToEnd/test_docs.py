"""What the documents show is run: configurations are checked, commands executed, Swift found in what is compiled."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time

import pytest

import editor
import leaks
from gateway import BINARY, ROOT, http, patchbay

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STOCK = (ROOT / "config.yaml").read_text()
PUBLIC_KEY = (ROOT / "Tests/Vectors/jwt/p-256.pem").read_text()


def blocks(language: str) -> list:
    """Every block in a language, named by file and line."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        for match in FENCE.finditer(text):
            if match[1] == language:
                name = f"{document.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
                found.append(pytest.param(match[2], id=name))
    return found


def test_every_block_says_what_it_is():
    """An unnamed language would slip past all the tests below."""
    for document in DOCUMENTS:
        languages = {match[1] for match in FENCE.finditer(document.read_text())}
        assert languages <= {"yaml", "sh", "swift", "json", "js", "python", "html", "text", "mermaid"}, document


def test_no_block_slips_past():
    """One that is indented, or fenced otherwise, is a block to readers and none to the tests below."""
    for document in DOCUMENTS:
        assert not re.search(r"^([ \t]+(```|~~~)|~~~)", document.read_text(), re.MULTILINE), document


def sections(text: str) -> dict[str, str]:
    """A YAML document's top-level entries by name, as text."""
    return {part.split(":")[0]: part for part in re.split(r"^(?=\w)", re.sub(r"(?m)^#.*\n", "", text), flags=re.MULTILINE) if part.strip()}


class Shown:
    """The configuration that a block shows, in a folder, with all that it names, and the program that it is for.

    A block without `version:` shows some sections, in place of the stock configuration's; one that begins with the name of a
    tenant's file is that file.
    """

    def __init__(self, block, folder, request):
        self.folder, self.tenant = folder, re.match(r"# (tenants\.d/[\w-]+\.yaml)\n", block)
        (folder / "tenants.d").mkdir()
        (folder / "data").mkdir()
        if self.tenant:
            (folder / self.tenant[1]).write_text(block)
            block = "tenants_dir: tenants.d\n"
        self.text = block if "version" in sections(block) else "".join({**sections(STOCK), **sections(block)}.values())
        (folder / "config.yaml").write_text(self.text)
        for secret in re.findall(r"file: ([\w./-]+)", self.text):
            (folder / secret).parent.mkdir(parents=True, exist_ok=True)
            (folder / secret).write_text(PUBLIC_KEY if secret.endswith(".pem") else "2b7e151628aed2a6abf7158809cf4f3c" * 2)
            (folder / secret).chmod(0o600)
        variables = {name: "2b7e151628aed2a6abf7158809cf4f3c" * 2 for name in re.findall(r"env: (\w+)", self.text)}
        self.environment = {**os.environ, **variables}
        is_own = re.search("type: (backwards|guest_list)", self.text)
        self.binary = request.getfixturevalue("own_gateway") if is_own else BINARY

    def run(self, *arguments):
        run = patchbay(*arguments, binary=self.binary, cwd=self.folder, env=self.environment)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def shown(block, tmp_path, request):
    return Shown(block, tmp_path, request)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_configuration_is_good(shown):
    shown.run("check")


@pytest.mark.parametrize("block", blocks("yaml"))
def test_an_editor_is_content_with_a_configuration(block, shown):
    assert editor.complaint(editor.schema(shown.binary), shown.text) is None
    if shown.tenant:
        assert editor.complaint(editor.schema(shown.binary, "--tenant"), block) is None
    if "tests" in sections(block):
        assert editor.complaint(editor.schema(shown.binary, "--tests"), sections(block)["tests"]) is None


@pytest.mark.parametrize("block", [each for each in blocks("yaml") if "tests" in sections(each.values[0])])
def test_the_tests_in_a_configuration_hold(shown):
    shown.run("test")


def test_an_editor_is_content_with_the_stock_configuration_and_the_example(own_gateway):
    assert editor.complaint(editor.schema(BINARY), STOCK) is None
    example = (ROOT / "Examples/OwnGateway/config.yaml").read_text()
    assert editor.complaint(editor.schema(own_gateway), example) is None


@pytest.mark.parametrize(
    "old, new",
    [("listen:", "lisen:"), ("limit: 10", "limit: ten"), ("pause: 600ms", "pause: 0.6"), ("type: parrot", "type: parot")],
)
def test_an_editor_sees_a_mistake(old, new):
    assert old in STOCK
    assert editor.complaint(editor.schema(BINARY), STOCK.replace(old, new, 1)) is not None


@pytest.mark.parametrize("option", ["--tenant", "--tests"])
def test_an_editor_sees_a_mistake_in_a_file_beside_the_first(option):
    schema = editor.schema(BINARY, option)
    for text in STOCK, "nothing: 1", "tests: [{ name: a, expect: { kept: maybe }, candidate: {} }]", "pipeline: 7":
        assert editor.complaint(schema, text) is not None, text


def test_the_reference_is_what_the_program_writes(tmp_path):
    run = patchbay("plugins", "--markdown", tmp_path / "written")
    assert run.returncode == 0, run.stdout + run.stderr
    written, kept = ({page.name: page.read_text() for page in folder.glob("*")} for folder in (tmp_path / "written", ROOT / "docs/reference"))
    assert written == kept, "a setting has changed; run: patchbay plugins --markdown docs/reference"


def test_the_stock_configuration_is_good():
    assert (ROOT / "data/jwt.secret").exists(), "script/setup makes it"
    run = patchbay("check", cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("block", blocks("swift"))
def test_swift_stands_in_a_file_that_is_compiled_and_tested(block):
    places = [path for folder in ("Examples", "Plugins", "Tests") for path in (ROOT / folder).rglob("*.swift")]
    texts = [path.read_text() for path in places if ".build" not in path.parts]
    assert any(block in text for text in texts), "no file under Examples, Plugins or Tests has this text"


@pytest.mark.parametrize("block", blocks("json"))
def test_json_is_json(block):
    json.loads(block)


# Commands that a test runs elsewhere, or that cannot be run twice, and where that is.
ELSEWHERE = {
    "script/server": "test_script_server_serves_the_stock_configuration, below",
    "script/test": "it runs this",
    "script/setup": "script/server and script/test run it first",
    "patchbay token revoke emb_x": "test_auth.py",
    **dict.fromkeys(
        (
            "export ADA_PASSPHRASE=open-sesame",
            "swift run --package-path Examples/OwnGateway OwnGateway serve -c Examples/OwnGateway/config.yaml",
            "patchbay call ws://127.0.0.1:8080/api/v1/ws/signaling/1 --api-key open-sesame --seconds 3",
        ),
        "test_own_gateway.py",
    ),
    "swift test --package-path Examples/OwnGateway": "script/test runs it",
    **dict.fromkeys(
        (
            "patchbay new plugin pipeline FrontDesk --directory ../front-desk",
            "swift test --package-path ../front-desk",
            "swift run --package-path ../front-desk FrontDesk serve -c ../front-desk/config.yaml",
        ),
        "script/test does so with a plugin of each kind",
    ),
    **dict.fromkeys(
        ("script/quality", "script/quality --quick", "script/quality --write docs/quality.md"),
        "script/test runs the quick one; the others take many minutes",
    ),
    **dict.fromkeys(
        ("script/nat-matrix", *(f"script/nat-matrix {rest}" for rest in ("--list", "--cells symmetric --runs 2", "--write docs/networks.md"))),
        "test_nat.py has some of its cells; the whole takes many minutes",
    ),
    **dict.fromkeys(("script/soak", "script/soak --minutes 2"), "they take minutes, and want the machine for themselves"),
    "PATCHBAY_SEEDS=10000 swift test -c release --filter ConnectivityTests": "script/test runs the first 400 of them",
    ".venv/bin/python -m pytest Tests/EndToEnd/test_lease.py": "script/test runs it, with the rest",
    "python3 -m http.server 8000 --bind 127.0.0.1 --directory Examples/EmbedPage": "test_embed_page.py serves it by itself",
    **dict.fromkeys(
        (
            "python3 bot.py",
            "patchbay serve -c config.yaml",
            "patchbay call ws://127.0.0.1:8080/api/v1/ws/signaling/1 --seconds 10 --out heard.wav",
        ),
        "test_bots.py, at a port of its own",
    ),
    **dict.fromkeys(('kill -HUP "$(pidof -s patchbay)"', "curl -X POST http://127.0.0.1:9090/reload"), "test_reload.py"),
    "curl 'http://127.0.0.1:9090/quotas?tenant=default&auth=users&user=42'": "test_quota.py",
    **dict.fromkeys(("patchbay test", "patchbay test -c config.yaml tests.yaml"), "test_check.py"),
    "(umask 077 && openssl rand -hex 32 > data/turn.secret)": "test_turn_server.py",
    **{
        f'turnutils_uclient -v -n 1 -c -u check -W "$(cat data/turn.secret)" -e {peer} -r 40000 turn.example.org': "test_turn_server.py"
        for peer in ("203.0.113.5", "127.0.0.1")
    },
}
PARTS = ("format", "house", "unit", "example", "peers", "quality", "long")


def run_shown(command: str):
    """Runs a command that a document shows, from the project's folder, with `patchbay` in the path."""
    path = f"{BINARY.parent}:{os.environ['PATH']}"
    run = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=90, env={**os.environ, "PATH": path}
    )
    leaks.check(command, run.stdout + run.stderr)
    assert run.returncode == 0, run.stdout + run.stderr


def commands() -> list:
    found = []
    for block in blocks("sh"):
        for line in re.sub(r"\\\n\s*", " ", block.values[0]).splitlines():
            command = line.split(" #")[0].strip()
            if command and not command.startswith("#"):
                found.append(pytest.param(command, id=f"{block.id} {command}"))
    return found


@contextlib.contextmanager
def served(command, log):
    """The address of the gateway that a command starts, in the project's folder; what that writes goes to `log`."""
    leaks.in_configuration(ROOT / "config.yaml")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True)
    try:
        while not (listening := re.search(r"^Patchbay is listening on (\S+)$", log.read_text(), re.MULTILINE)):
            assert process.poll() is None, f"{command} ended with {process.returncode}: {log.read_text()}"
            time.sleep(0.1)
        yield listening[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        code = process.wait(20)
        leaks.check(str(command), log.read_text())
        assert code == 0


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The gateway that `script/server` starts, on the ports of the stock configuration."""
    with served(ROOT / "script/server", tmp_path_factory.mktemp("stock") / "log") as url:
        yield url


@pytest.mark.long
def test_script_server_serves_the_stock_configuration(stock):
    assert stock == "http://127.0.0.1:8080/", "the address that the README names"
    status, _, body = http("GET", stock)
    assert status == 200 and b"Talk" in body


@pytest.mark.long
@pytest.mark.parametrize("command", commands())
def test_a_command_does_what_the_document_says(command, stock):
    """With the stock gateway serving."""
    words = shlex.split(command)
    if command in ELSEWHERE or (words[0] == "script/test" and words[1] in PARTS):
        return
    assert words[0] in ("patchbay", ".build/release/patchbay", "curl"), f"nobody runs this: {command}"
    run_shown(command)


def test_links_between_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
