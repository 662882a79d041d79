import contextlib
import fcntl
import socket
import subprocess

import pytest
from playwright.sync_api import expect

import speech
from gateway import BINARY, OWN_GATEWAY, ROOT, Gateway, write_config


# For what a page shows in the end; how soon, no test asks by these. A browser beside two others takes its time.
expect.set_options(timeout=20_000)


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"there is no {BINARY}; build it, or name another in PATCHBAY_BINARY", returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Tests of several processes (`pytest -n 3`) run beside each other, but for those that are marked as `alone`."""
    mode = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with open(__file__) as door, open(speech.__file__) as room:
        # At the door wait those who come after one who wants to be alone: he would never be, otherwise.
        fcntl.flock(door, mode)
        fcntl.flock(room, mode)
        if mode == fcntl.LOCK_SH:
            fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def sentences(tmp_path_factory):
    """Files of speech by name."""
    return speech.make(tmp_path_factory.mktemp("speech"))


@pytest.fixture
def turn_server():
    """A TURN server that hears everything and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        yield server


@pytest.fixture(scope="session")
def noisy(sentences, tmp_path_factory):
    """The same, in a room that is never silent: these are sent without a pause."""
    directory = tmp_path_factory.mktemp("noisy")
    spoken = {name: speech.read(file) for name, file in sentences.items()}
    return {
        name: speech.write(directory / f"{name}.wav", samples + speech.noise(len(samples) / speech.RATE))
        for name, samples in spoken.items()
    }


@pytest.fixture(scope="session")
def _gateways(tmp_path_factory, sentences):
    """Starts gateways; ends each as an operator would and looks whether it went well."""

    def make(binary=BINARY, **changes):
        config = write_config(tmp_path_factory.mktemp("gateway"), player=sentences["winter"], **changes)
        gateway = Gateway(config, binary)
        try:
            yield gateway
        finally:
            code = gateway.stop()
            log = gateway.log.read_text()
            assert code == 0, f"the gateway ended with {code}:\n{log[-4000:]}"
            assert "Fatal error" not in log, log[-4000:]

    return make


@pytest.fixture(scope="module")
def gateway(_gateways):
    """A gateway that the tests of a file share."""
    yield from _gateways()


@pytest.fixture
def start(_gateways):
    """Starts a gateway for one test, with settings of its own."""
    with contextlib.ExitStack() as running:
        yield lambda **changes: running.enter_context(contextlib.contextmanager(_gateways)(**changes))


@pytest.fixture(scope="session")
def own_gateway():
    """The program that Examples/OwnGateway builds."""
    # Where `script/test example` builds it, so that there is nothing left to compile.
    where = ["--package-path", "Examples/OwnGateway", "--scratch-path", ".build", "--disable-build-manifest-caching"]
    subprocess.run(["script/swift", "build", *where, "--product", "OwnGateway"], cwd=ROOT, check=True)
    (ROOT / ".build/debug.yaml").unlink(missing_ok=True)
    return ROOT / ".build/debug/OwnGateway"


@pytest.fixture
def start_own(start, own_gateway):
    """Starts a gateway that has the example's pipeline for workflow 3, and its guest list."""
    return lambda **changes: start(binary=own_gateway, template=OWN_GATEWAY, **changes)
