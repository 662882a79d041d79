"""`patchbay new`: what it writes, and when it writes nothing. `script/test example` builds and tests a plugin of each kind."""

import pytest

from gateway import ROOT, patchbay


def new(*arguments, cwd):
    return patchbay("new", "plugin", *arguments, "--patchbay", ROOT, cwd=cwd, timeout=20)


@pytest.mark.parametrize("kind", ["pipeline", "auth", "quota", "ice-policy", "store"])
def test_it_tells_what_it_wrote_and_how_to_go_on(tmp_path, kind):
    run = new(kind, "FrontDesk", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    files, _, rest = run.stdout.partition("\n\n")
    assert set(files.splitlines()) == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert "swift test --package-path FrontDesk\n" in rest
    assert "swift run --package-path FrontDesk FrontDesk serve -c FrontDesk/config.yaml\n" in rest
    again = new(kind, "FrontDesk", cwd=tmp_path)
    assert again.returncode == 64 and "--directory" in again.stderr and not again.stdout


@pytest.mark.parametrize(
    "arguments",
    [["bot", "FrontDesk"], ["pipeline", "front-desk"], ["pipeline", "Echo"], ["auth", "Patchbay"], ["auth"]],
    ids=" ".join,
)
def test_what_it_does_not_understand_is_usage_and_leaves_nothing(tmp_path, arguments):
    run = new(*arguments, cwd=tmp_path)
    assert run.returncode == 64 and run.stderr and not run.stdout, run.stdout + run.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path):
    (tmp_path / "file").touch()
    run = new("store", "Shelf", "--directory", "file/shelf", cwd=tmp_path)
    assert run.returncode == 70 and "file/shelf" in run.stderr, run.stdout + run.stderr
