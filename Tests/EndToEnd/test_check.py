"""`patchbay check --connect` starts what a configuration has, and `patchbay test` tries what it says of callers."""

import json
import re
import socket
import sqlite3

import pytest

import leaks
from gateway import CONFIG, Gateway, jwt, patchbay, write_config
from test_auth import USERS, Key, Server, key_set

FAILED, USAGE, INTERNAL, CONFIGURATION = 1, 64, 70, 78
SOCKET = "/api/v1/ws/signaling/2/501"


@pytest.fixture
def make(tmp_path, sentences):
    """Writes the configuration, with some texts in it replaced."""

    def make(*changes: tuple[str, str]):
        text = CONFIG
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return write_config(tmp_path, text, player=sentences["winter"])

    return make


# -- check


@pytest.mark.parametrize("secret", ["change-me-in-production-change-me-in-production", "s" * 64, "too short"])
def test_a_secret_that_can_be_guessed_is_a_fault_and_is_not_shown(make, tmp_path, secret):
    config = make()
    (tmp_path / "jwt.secret").write_text(secret)
    run = patchbay("check", "-c", config)
    assert run.returncode == CONFIGURATION and "auth.users.secret" in run.stderr, run.stdout + run.stderr
    assert secret not in run.stderr + run.stdout


def test_a_configuration_is_named_by_an_argument_as_by_its_option(make, tmp_path):
    """No other is read then: the one that need not be named is full of faults here."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here/config.yaml").write_text("nonsense: 1\n")
    config, more, broken = with_tests(make(), GOOD), tmp_path / "more.yaml", tmp_path / "broken.yaml"
    more.write_text(f"tests:{GOOD}")
    broken.write_text("version: 1\ntests: [\n")

    def run(*arguments):
        done = patchbay(*arguments, cwd=tmp_path / "here")
        return done.returncode, done.stdout, done.stderr

    assert run("check", config)[:2] == (0, f"{config} is fine\n")
    assert run("test", config)[1].endswith("\n5 tests, 0 failed\n")
    assert run("test", more, config)[1].endswith("\n10 tests, 0 failed\n")
    assert run("test", more, "-c", config)[1].endswith("\n10 tests, 0 failed\n")
    for command in "check", "serve", "test":
        code, _, said = run(command, broken)
        assert code == CONFIGURATION and said.endswith("\n1 fault\n") and f"{broken}:3:1: error: " in said, said
        code, _, said = run(command, config, "-c", config)
        assert code == USAGE and f"there is one configuration: say {config}, or -c {config}" in said, said
    code, _, said = run("test", config, config)
    assert code == USAGE and "there is one configuration" in said, said


def test_faults_that_have_nothing_to_do_with_each_other_are_told_at_once(make):
    """Among them what shows only when the instances are made."""
    run = patchbay("check", "-c", with_tests(
        make(("type: parrot", "type: parrot, pausee: 1s"), ("auth: [users, embeds]", "auth: [users]")),
        f" [{{ name: a, connect: {{ path: {SOCKET} }}, expect: {{ by: nobody }} }}]\n"))
    assert run.returncode == CONFIGURATION and run.stderr.endswith("\n3 faults\n"), run.stderr
    for path in "pipelines.parrot: unknown key 'pausee'", "tenants.default.playground: ", "tests[0].expect.by: ":
        assert f"error: {path}" in run.stderr, run.stderr


def test_what_nobody_would_want_is_warned_of_and_is_no_fault(make):
    config = make(("auth: [users, embeds]", "auth: [users, embeds, users]"), ("limit: {seats}", "limit: 0"))
    expected = [("quotas.seats.limit", "warning"), ("tenants.default.auth[2]", "warning")]
    run = patchbay("check", config)
    assert run.returncode == 0 and run.stdout.endswith("is fine\n"), run.stdout + run.stderr
    for path, severity in expected:
        assert f": {severity}: {path}: " in run.stderr, run.stderr
    listed = patchbay("check", config, "--format", "json")
    assert (listed.returncode, listed.stderr) == (0, "")
    warnings = json.loads(listed.stdout)
    assert [(each["path"], each["severity"]) for each in warnings] == expected
    assert all(set(each) == {"file", "line", "column", "length", "path", "severity", "message", "help"} for each in warnings)
    gateway = Gateway(config)
    try:
        for path, _ in expected:
            assert re.search(f' warning patchbay: .*setting="?{re.escape(path)}', gateway.log.read_text()), gateway.log.read_text()
    finally:
        assert gateway.stop() == 0


def test_a_credential_that_lets_nobody_in_any_more_and_an_instance_that_nobody_gets_to_are_warned_of(make):
    """And with the reasons that a plugin has."""
    config = make(
        ("emb_echo, workflow: 2", "emb_echo, workflow: 2, expires: 2020-01-31"),
        ("  embeds:\n", "  others: {{ type: jwt, issuer: us, secret: {{ file: {directory}/jwt.secret }} }}\n  embeds:\n"),
        ("auth: [users, embeds]", "auth: [users, others, embeds]"),
    )
    run = patchbay("check", config)
    assert run.returncode == 0 and run.stdout.endswith("is fine\n"), run.stdout + run.stderr
    for said in (
        "auth.embeds.tokens[1].expires: it expired on 2020-01-31: nobody is let in by it any more\n",
        "tenants.default.auth[1]: no token gets so far: 'users' is asked before, and without an `issuer` it leaves none to others\n",
    ):
        assert f": warning: {said}" in run.stderr, run.stderr
    listed = json.loads(patchbay("check", config, "--format", "json").stdout)
    assert [(each["path"], each["severity"]) for each in listed] == [
        ("auth.embeds.tokens[1].expires", "warning"), ("tenants.default.auth[1]", "warning"),
    ]


def test_the_log_of_a_gateway_has_such_a_warning_and_not_the_token(make):
    token = leaks.secret("an embed token", "emb_of_a_page_long_gone")
    gateway = Gateway(make(("emb_echo, workflow: 2", f"{token}, workflow: 2, expires: 2020-01-31")))
    log = gateway.log.read_text()
    assert gateway.stop() == 0  # and looks for secrets
    assert 'setting="auth.embeds.tokens[1].expires"' in log and token not in log


# -- check --connect


def test_all_of_a_good_configuration_starts_and_nothing_is_left(make, tmp_path):
    run = patchbay("check", "--connect", "-c", make())
    assert run.returncode == 0 and run.stdout.endswith("is fine, and all of it starts\n"), run.stdout + run.stderr
    assert (tmp_path / "patchbay.db").exists(), "the store was not started"
    assert patchbay("check", "--connect", "--format", "json", "-c", make()).stdout == "[]\n"


SHUT = (
    ("local: {{ type: sqlite, path: {directory}/patchbay.db }}",
     "local: {{ type: sqlite, path: {directory}/file/a.db }}\n  other: {{ type: sqlite, path: {directory}/file/b.db }}"),
    ("    match: any\n", "    match: any\n    store: local\n"),
)


def test_every_instance_that_cannot_start_is_told_with_its_place(make, tmp_path):
    config = make(*SHUT)
    (tmp_path / "file").write_text("not a folder")
    plain = patchbay("check", "-c", config)
    assert plain.returncode == 0 and "warning: stores.other: nothing names it" in plain.stderr, plain.stdout + plain.stderr
    run = patchbay("check", "--connect", "-c", config)
    assert run.returncode == INTERNAL, run.stdout + run.stderr
    lines = config.read_text().splitlines()
    for path, reason in (
        ("stores.local", "could not start: "), ("stores.other", "could not start: "), ("auth.embeds", "not tried: stores.local could not start"),
    ):
        number = 1 + next(at for at, line in enumerate(lines) if line.startswith(f"  {path.partition('.')[2]}:"))
        assert f"{config}:{number}:3: error: {path}: {reason}" in run.stderr, run.stderr
    assert "3 faults" in run.stderr

    listed = patchbay("check", "--connect", "--format", "json", "-c", config)
    assert listed.returncode == INTERNAL
    assert {each["path"] for each in json.loads(listed.stdout)} == {"stores.local", "stores.other", "auth.embeds"}


def test_keys_that_nobody_hands_out_are_told(make):
    """`serve` starts without them: others may sign in in other ways."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        users = "type: jwt, algorithms: [HS256], secret: {{ file: {directory}/jwt.secret }}"
        config = make((users, f'type: jwt, jwks: "http://127.0.0.1:{nobody.getsockname()[1]}/keys", issuer: us'))
        run = patchbay("check", "--connect", "-c", config)
    assert run.returncode == INTERNAL and "error: auth.users: starts, and is of no use: cannot check a token" in run.stderr, run.stderr


def test_a_configuration_with_faults_is_not_started(make, tmp_path):
    run = patchbay("check", "--connect", "-c", make(("type: echo", "type: ecoh")))
    assert run.returncode == CONFIGURATION and "'ecoh'" in run.stderr
    assert not (tmp_path / "patchbay.db").exists()


# -- test

GOOD = f"""
  - name: a signed-in user speaks to the echo
    connect: {{ path: {SOCKET}, token: {{ mint: users, user: "7", organization: acme }} }}
    expect: {{ outcome: accepted, by: users, user: "7", organization: acme, pipeline: echo, events: all, status: 101 }}
  - name: a token that has ended opens nothing
    connect: {{ path: {SOCKET}, token: {{ mint: users, user: "7", lifetime: 1h, age: 2h }} }}
    expect: {{ outcome: refused, by: users, code: invalid_token, status: 403 }}
  - name: the page gets a call
    embed: {{ token: emb_demo, origin: "http://localhost:3000" }}
    expect: {{ outcome: accepted, by: embeds, workflow: 1, pipeline: parrot, events: transcript }}
  - name: another page does not
    embed: {{ token: emb_demo, origin: "https://elsewhere.example" }}
    expect: {{ outcome: refused, status: 403 }}
  - name: local addresses are used
    candidate: {{ tenant: default, direction: inbound, candidate: "candidate:1 1 udp 1 192.168.1.5 50000 typ host" }}
    expect: {{ kept: true }}
"""


def with_tests(config, tests: str):
    config.write_text(f"{config.read_text()}tests:{tests}")
    return config


def test_tests_that_hold(make):
    run = patchbay("test", "-c", with_tests(make(), GOOD))
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert [line.split(None, 1)[0] for line in lines] == ["ok"] * 5 + ["5"] and lines[-1] == "5 tests, 0 failed"


def test_tests_that_do_not_hold_say_what_is_so_instead(make, tmp_path):
    config = make()
    more = tmp_path / "more.yaml"
    more.write_text(f"tests:{GOOD.replace('outcome: accepted, by: users', 'outcome: refused, by: embeds').replace('kept: true', 'kept: false')}")
    run = patchbay("test", "-c", config, more)
    assert run.returncode == FAILED, run.stdout + run.stderr
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == [
        "FAILED  a signed-in user speaks to the echo: outcome should be refused, is accepted; by should be embeds, is users "
        f"[{more}:2]",
        f"FAILED  local addresses are used: kept should be false, is true [{more}:14]",
    ]
    assert run.stdout.endswith("5 tests, 2 failed\n")

    listed = patchbay("test", "-c", config, more, "--format", "json")
    assert listed.returncode == FAILED
    results = json.loads(listed.stdout)
    assert [result["ok"] for result in results] == [False, True, True, True, False]
    assert results[4]["mismatches"] == [{"key": "kept", "expected": "false", "found": "true"}]
    assert {"file": str(more), "line": 14, "failure": None, "reason": None}.items() <= results[4].items()


def test_a_token_from_outside_is_taken_and_never_shown(make, tmp_path, monkeypatch):
    (tmp_path / "token").write_text(jwt(user="8") + "\n")
    monkeypatch.setenv("PATCHBAY_TEST_TOKEN", jwt(user="9"))
    run = patchbay("test", "-c", with_tests(make(), f"""
  - {{ name: file, connect: {{ path: {SOCKET}, token: {{ file: token }} }}, expect: {{ user: "8" }} }}
  - {{ name: variable, connect: {{ path: {SOCKET}, token: {{ env: PATCHBAY_TEST_TOKEN }} }}, expect: {{ user: "9" }} }}
  - {{ name: wrong, connect: {{ path: {SOCKET}, token: {{ file: token }} }}, expect: {{ user: "7" }} }}
  - {{ name: text, connect: {{ path: {SOCKET}, token: correct-horse-battery }}, expect: {{ outcome: accepted }} }}
  - {{ name: none, connect: {{ path: {SOCKET}, token: {{ env: PATCHBAY_TEST_UNSET }} }}, expect: {{ outcome: refused }} }}
"""))
    assert run.returncode == FAILED
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["ok", "ok", "FAILED", "FAILED", "FAILED", "5"]
    assert "user should be 7, is 8" in run.stdout and "PATCHBAY_TEST_UNSET" in run.stdout
    for secret in jwt(user="8").split(".")[1][:20], "correct-horse":
        assert secret not in run.stdout + run.stderr


def test_nothing_is_written_to_a_store_and_what_is_in_it_is_found(make, tmp_path):
    config = with_tests(make(("workflow: 1,", "workflow: 1, usage_limit: 1,")), """
  - name: the page gets its one call
    embed: { token: emb_demo, origin: "http://localhost" }
    expect: { outcome: accepted }
""")
    saved = patchbay("token", "embed", "-c", config, "--workflow", 2, "--user", 7, "--save")
    assert saved.returncode == 0, saved.stderr
    config.write_text(config.read_text() + f"""
  - name: and so does the one whose token is in the store
    embed: {{ token: {saved.stdout.strip()} }}
    expect: {{ outcome: accepted, by: embeds, user: "7", workflow: 2, pipeline: echo }}
""")

    def contents():
        with sqlite3.connect(tmp_path / "patchbay.db") as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}

    before = contents()
    for _ in range(2):
        run = patchbay("test", "-c", config)
        assert run.returncode == 0, run.stdout + run.stderr
    assert contents() == before


def test_no_test_uses_up_what_an_endpoint_bears_of_others(make):
    """It is not asked again when it has refused 20 callers of one address; each test is the first from there."""

    def answer(body):
        return (200, {}, b'{"user": "7"}') if json.loads(body)["token"] == "good" else (401, {}, b"")

    def case(token, expected):
        return f"\n  - {{ name: a, connect: {{ path: {SOCKET}, token: {token} }}, expect: {{ by: users, {expected} }} }}"

    bad, good = case("bad", "outcome: refused, code: invalid_token"), case("good", 'outcome: accepted, user: "7"')
    with Server(answer) as endpoint:
        config = make((USERS, f'type: http, url: "{endpoint.url}", timeout: 5s'))
        run = patchbay("test", "-c", with_tests(config, 25 * bad + good + case("good", "outcome: refused") + "\n"))
    assert run.returncode == FAILED, run.stdout + run.stderr
    assert [line.split()[0] for line in run.stdout.splitlines()] == [*["ok"] * 26, "FAILED", "27"]
    assert "outcome should be refused, is accepted" in run.stdout and len(endpoint.requests) == 27


def test_an_issuer_is_asked_for_its_keys_once_whatever_the_number_of_tests(make, tmp_path):
    """And once more for all tokens with a key that it does not have."""
    key, stranger = Key("ES256", "one"), Key("ES256", "other")

    def case(signer, expected):
        (tmp_path / f"{signer.kid}.token").write_text(signer.token())
        token = f"{{ file: {signer.kid}.token }}"
        return f"\n  - {{ name: a, connect: {{ path: {SOCKET}, token: {token} }}, expect: {{ by: users, {expected} }} }}"

    good, bad = case(key, 'outcome: accepted, user: "7"'), case(stranger, "outcome: refused, code: invalid_token")
    for tests, asked in (50 * good, 1), (20 * (bad + good), 2):
        with Server(lambda _: key_set(key)) as issuer:
            config = make((USERS, f'type: jwt, jwks: "{issuer.url}", issuer: us, audience: voice'))
            run = patchbay("test", "-c", with_tests(config, tests + "\n"))
        assert run.returncode == 0, run.stdout + run.stderr
        assert len(issuer.requests) == asked


def test_what_cannot_be_tried_fails_and_does_not_keep_the_others(make, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    run = patchbay("test", "-c", with_tests(make(*SHUT), GOOD))
    assert run.returncode == FAILED
    assert [line.split()[0] for line in run.stdout.splitlines()] == [*["FAILED"] * 4, "ok", "5"]
    assert run.stdout.count("stores.local could not start: ") == 4


def test_faults_in_tests_are_faults_with_a_place(make, tmp_path):
    config = with_tests(make(), f'\n  - {{ name: a, connect: {{ path: {SOCKET}, tokn: x }}, expect: {{ by: usres }} }}\n')
    more = tmp_path / "more.yaml"
    more.write_text("tests:\n  - { name: b, candidate: { tenant: defualt, direction: inbound, candidate: c }, expect: { kept: true } }\n")
    for command in (["check"], ["serve"], ["test"]):
        run = patchbay(*command, "-c", config, timeout=20)
        assert run.returncode == CONFIGURATION and "tests[0].connect: unknown key 'tokn'" in run.stderr, run.stderr
    both = patchbay("test", "-c", config, more, "--format", "json")
    assert both.returncode == CONFIGURATION
    assert {(each["file"], each["message"]) for each in json.loads(both.stdout)} == {
        (str(config), "unknown key 'tokn'"), (str(config), "there is no auth instance named 'usres'"),
        (str(more), "there is no tenant named 'defualt'"),
    }
    assert patchbay("test", "-c", config, tmp_path / "nowhere.yaml").returncode == CONFIGURATION


def test_a_token_that_no_instance_makes_is_a_fault_in_the_words_of_a_test(make):
    config = with_tests(make(), f"""
  - {{ name: a, connect: {{ path: {SOCKET}, token: {{ mint: users, workflow: 3 }} }}, expect: {{ outcome: refused }} }}
""")
    for command in "check", "test":
        run = patchbay(command, "-c", config)
        assert run.returncode == CONFIGURATION and run.stderr.endswith("\n2 faults\n"), run.stdout + run.stderr
        assert "tests[0].connect.token: a JWT speaks for a user" in run.stderr and "= add user: ID" in run.stderr, run.stderr
        assert "tests[0].connect.token.workflow: a JWT is good for every workflow" in run.stderr and "--user" not in run.stderr


def test_without_tests_there_is_nothing_to_be_content_with(make):
    run = patchbay("test", "-c", make())
    assert run.returncode == USAGE and "nothing to try" in run.stderr
