"""No heap allocation for a packet of sound, once a call is going: what `packet-path` counts on the release build."""

import json
import os
import subprocess

import pytest
from gateway import ROOT

pytestmark = pytest.mark.long
PROGRAM = (ROOT / os.environ.get("PACKET_PATH_BINARY", ".build/release/packet-path")).resolve()


@pytest.fixture(scope="module")
def counted():
    result = subprocess.run([PROGRAM], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    return json.loads(result.stdout)


@pytest.mark.parametrize("direction", ["rtp_in", "rtp_out"])
def test_a_peer_connection_allocates_nothing_for_rtp(counted, direction):
    """Loss, bursts, reordering and duplicates included; both sides speak."""
    rtp = counted["memory"][direction]
    assert rtp["packets"] > 5_000
    assert rtp["allocations"] == 0, "packet-path --origins says where"


def test_a_media_loop_allocates_nothing_for_rtp(counted):
    """Whole turns of the loop: sockets, tables, timers, and waking the pipeline."""
    turns = [counted["loop"][direction] for direction in ("rtp_in", "rtp_out")]
    assert sum(turn["packets"] for turn in turns) > 5_000
    assert sum(turn["allocations"] for turn in turns) == 0, "packet-path --origins says where"


def test_reports_and_checks_allocate_little(counted):
    """RTCP and STUN come once in some seconds."""
    for way in ("memory", "loop"):
        assert counted[way]["rtcp"]["allocations"] <= 8 * counted[way]["rtcp"]["spans"]
        assert counted[way]["stun"]["allocations"] <= 60 * counted[way]["stun"]["spans"]
