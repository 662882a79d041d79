"""Calls through NATs, firewalls and a TURN server: some cells of the matrix that `script/nat-matrix` measures whole."""

import os

import pytest

from cells import Cell, running, settings, template
from nat_matrix import place
from network import BEHAVIOUR, Internet, network

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


@pytest.mark.parametrize("kind", BEHAVIOUR)
def test_a_nat_is_what_it_is_called(kind):
    with network() as net:
        internet = Internet(net, kind, "none")
        internet.verify()
        internet.block_udp()


def much_alike(*cell):
    """One more program that meets the same network, or the like of it."""
    return pytest.param(*cell, id=" ".join(map(str, cell)), marks=pytest.mark.rare)


CELLS = [
    # The gateway sends to a caller of whom it knows where he is, and so lets him in.
    (Cell("firewall", "1:1"), "call"),
    (Cell("firewall", "port-restricted"), "call"),
    (Cell("port-restricted", "port-restricted"), "chromium"),
    (Cell("port-restricted", "port-restricted"), "aiortc"),
    much_alike(Cell("port-restricted", "port-restricted"), "call"),
    (Cell("address-restricted", "symmetric"), "chromium"),
    # Neither knows from where the other will send.
    (Cell("port-restricted", "symmetric"), "chromium"),
    (Cell("symmetric", "symmetric", caller_turn=True), "chromium"),
    much_alike(Cell("symmetric", "symmetric", caller_turn=True), "aiortc"),
    (Cell("symmetric", "symmetric", gateway_turn=True), "chromium"),
    much_alike(Cell("symmetric", "symmetric", gateway_turn=True), "call"),
    # No UDP.
    (Cell("port-restricted", "none", udp=False, caller_turn=True), "chromium"),
    much_alike(Cell("port-restricted", "none", udp=False, caller_turn=True), "aiortc"),
    (Cell("port-restricted", "none", udp=False, caller_turn=True), "call"),
    (Cell("port-restricted", "1:1", udp=False, tcp=True), "chromium"),
]


@pytest.mark.parametrize("cell, program", CELLS, ids=str)
def test_who_can_get_through_does_and_who_cannot_is_told(tmp_path, cell, program):
    with running(cell, tmp_path) as made:
        result = place(made, program, runs=2)
    print(result)
    assert not result.faults()


@pytest.mark.parametrize("gateway", ["1:1", "port-restricted"])
def test_a_gateway_that_does_not_know_its_address_is_not_reached(tmp_path, gateway):
    cell = Cell("firewall", gateway)
    unaware = template(*settings(Cell("firewall", "none"), "10.0.0.2", ""))
    with running(cell, tmp_path, config=unaware, changes={"connect": "6s"}) as made:
        [call] = made.call()
    assert not call["connected"] and call["error"]
