"""The rules of the house that a compiler does not enforce: what a module may import, and what no pure module may touch."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each module may import of our own. What a line names, it may import with everything below it.
LAYERS = {
    "Wire": [],
    "STUN": ["Wire"],
    "ICE": ["STUN"],
    "TURN": ["STUN"],
    "SDP": ["Wire"],
    "RTP": ["Wire"],
    "DTLS": ["Wire"],
    "SRTP": ["Wire"],
    "Audio": ["Wire"],
    "WebRTC": ["ICE", "SDP", "RTP", "DTLS", "SRTP", "Audio"],
    "Media": ["WebRTC", "TURN"],
    "PatchbayPlugin": [],
    "PatchbayConfig": ["PatchbayPlugin", "Wire"],
    "PatchbayTesting": ["PatchbayConfig"],
    "WebSocket": [],
    "OutboundHTTP": [],
    "Redis": ["PatchbayPlugin"],
    "Signaling": ["PatchbayPlugin", "WebSocket"],
    "PatchbayKit": ["Media", "Signaling", "PatchbayConfig"],
}
C_LIBRARIES = {  # each has one owner
    "COpenSSL": {"STUN", "DTLS", "TURN"},
    "CSRTP": {"SRTP"},
    "COpus": {"Audio"},
    "CSpeexDSP": {"Audio"},
    "CYAML": {"PatchbayConfig"},
    "CSocket": {"Media"},
}
PURE = ["Wire", "STUN", "ICE", "TURN", "SDP", "RTP", "DTLS", "SRTP", "Audio", "WebRTC"]
FORBIDDEN_IN_PURE = {
    "a clock": r"\b(ContinuousClock|SuspendingClock|NIODeadline|DispatchTime|clock_gettime|gettimeofday|Date\(\))",
    "a random generator": r"\b(SystemRandomNumberGenerator|RAND_bytes|RAND_priv_bytes|getrandom|arc4random)"
    r"|\.random\(in: *[^,()]*\)|\.(randomElement|shuffled)\(\)",
    "a socket": r"\b(socket|sendto|recvfrom|sendmmsg|recvmmsg)\(",
}
EXCEPTIONS = {
    # Where OpenSSL makes the key with its own generator, the serial number beside it may come from there too.
    ("Sources/DTLS/Certificate.swift", "a random generator"),
}
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|typealias|func|var|let)\s+)?(\w+)",
    re.MULTILINE,
)


def below(module: str) -> set[str]:
    """Everything a module may import of ours."""
    return set(LAYERS[module]).union(*map(below, LAYERS[module]), set())


def sources(folder: Path) -> list[Path]:
    # What `patchbay new` writes is compiled elsewhere.
    return sorted(file for file in folder.rglob("*.swift") if "Templates" not in file.parts)


def imports(folder: Path) -> list[tuple[str, str]]:
    return [
        (f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, match.start(1)) + 1}", match[1])
        for file in sources(folder)
        for text in [file.read_text()]
        for match in IMPORT.finditer(text)
    ]


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", re.sub(r"//.*", "", text), flags=re.DOTALL)


@pytest.mark.parametrize("module", LAYERS)
def test_imports_go_down_only(module):
    found = imports(ROOT / "Sources" / module)
    wrong = [
        f"{place}: {module} imports {name}"
        for place, name in found
        if (name in LAYERS and name not in below(module)) or module not in C_LIBRARIES.get(name, {module})
    ]
    assert sources(ROOT / "Sources" / module), f"there is no Sources/{module}: this test knows an old house"
    assert not wrong, "\n".join(wrong)


def test_every_module_has_its_place():
    known = {*LAYERS, *C_LIBRARIES, "patchbay"}
    assert {folder.name for folder in (ROOT / "Sources").iterdir() if folder.is_dir()} == known


@pytest.mark.parametrize("module", PURE)
def test_a_protocol_module_is_pure(module):
    allowed = {*LAYERS, *C_LIBRARIES, "Glibc", "Synchronization"}
    wrong = [f"{place}: imports {name}" for place, name in imports(ROOT / "Sources" / module) if name not in allowed]
    for file in sources(ROOT / "Sources" / module):
        text = without_comments(file.read_text())
        wrong += [
            f"{file.relative_to(ROOT)}: {what}: {match[0]}"
            for what, pattern in FORBIDDEN_IN_PURE.items()
            if (str(file.relative_to(ROOT)), what) not in EXCEPTIONS
            for match in re.finditer(pattern, text)
        ]
    assert not wrong, "\n".join(wrong)


def test_a_plugin_imports_no_core_module():
    folders = sorted(path for path in (ROOT / "Plugins").glob("*/*/Sources"))
    # A WebSocket is no part of the core: bots listen on one, too. Nor is what asks servers of others, nor a Redis.
    core = set(LAYERS) - {"PatchbayPlugin", "WebSocket", "OutboundHTTP", "Redis"} | set(C_LIBRARIES)
    wrong = [f"{place}: imports {name}" for folder in folders for place, name in imports(folder) if name in core]
    assert folders and not wrong, "\n".join(wrong)


def test_what_is_shipped_has_nothing_of_tests_and_benchmarks():
    theirs = {"CPacketPath", "TestSupport", "Testing", "XCTest"}
    folders = ROOT / "Sources", ROOT / "Plugins"
    wrong = [f"{place}: imports {name}" for folder in folders for place, name in imports(folder) if name in theirs]
    assert not wrong, "\n".join(wrong)


def test_the_check_itself_sees_every_form_of_import():
    text = "import A\n@testable import B\npackage import C\nimport struct D.E\n@_spi(X) public import F\n// import G\n"
    assert IMPORT.findall(text) == ["A", "B", "C", "D", "F"]
