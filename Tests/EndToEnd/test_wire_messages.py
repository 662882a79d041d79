"""Every message of the wire over real sockets: who gets which answer, in which order, and what a refusal must not start."""

import asyncio
import json
import re
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from gateway import FRESH_RUNS, changed_config, jwt
from peer import calling, in_call

MISSING = {"message": "Missing offer fields"}
OWNED = {"message": "Peer connection already owned"}
NOT_FOUND = {"message": "Peer connection not found"}
COMPLETED = {
    "error_type": "workflow_run_already_completed",
    "message": "This test run has already finished. Start a new test to call the agent again.",
}
FULL = {"error_type": "concurrency_limit_exceeded", "message": "Concurrent call limit reached"}
ACTIVE = {"error_type": "workflow_run_already_active", "message": "Workflow run already has an active call"}
SEATS = 3


@pytest.fixture(scope="module")
def few_seats(_gateways):
    yield from _gateways(seats=SEATS)


async def refusal(caller, message="offer", /, **payload) -> dict:
    """The one message that answers this one, an error; the socket stays open after it."""
    after = len(caller.messages)
    await caller.send(message, **payload)
    error = await caller.message("error", after=after)
    await caller.send("offer")
    await caller.until(lambda: len(caller.messages) >= after + 2, what="an answer to a message after the refusal")
    assert [each["payload"] for each in caller.messages[after:]] == [error, MISSING]
    assert caller.close_code is None
    return error


async def look(gateway) -> dict:
    """What is alive; a call by its id alone, since its state may change at any time."""
    now = await asyncio.to_thread(gateway.look)
    names = "started", "leases", "peer_connections", "sockets"
    return {**{name: now[name] for name in names}, "calls": {each["id"] for each in now["calls"]}}


# MARK: - Offers


@pytest.mark.parametrize("value", [None, "", 7, "absent"], ids=["null", "empty", "a number", "absent"])
@pytest.mark.parametrize("field", ["pc_id", "sdp", "type"])
def test_row_1_an_offer_without_a_field_is_told_so(gateway, field, value):
    async def main():
        async with calling(gateway.signaling()) as caller:
            payload = await caller.description(**{field: value})
            if value == "absent":
                del payload[field]
            assert await refusal(caller, **payload) == MISSING

    with gateway.nothing_started():
        asyncio.run(main())


@asynccontextmanager
async def offering(gateway, *conditions: str):
    """A caller about to offer, under some of: pc_id owned by another socket, run active, run completed, no seat free."""
    run = next(FRESH_RUNS)
    async with AsyncExitStack() as stack:

        async def caller(run=None, user="7"):
            return await stack.enter_async_context(calling(gateway.signaling(run=run, token=jwt(user=user))))

        if "completed" in conditions:
            async with calling(gateway.signaling(run=run)) as earlier:
                await earlier.offer()
            await asyncio.to_thread(gateway.await_idle)
        late = await caller(run)
        if "active" in conditions:
            await (await caller(run)).offer()
        if "owned" in conditions:
            owner = await caller()
            owner.pc_id = late.pc_id
            await owner.offer()
        while "full" in conditions and (await look(gateway))["leases"] < SEATS:
            await (await caller(user="8")).offer()
        yield late


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param(["missing", "owned"], MISSING, id="1 before 3"),
        pytest.param(["missing", "completed"], MISSING, id="1 before 5"),
        pytest.param(["missing", "full"], MISSING, id="1 before 6"),
        pytest.param(["missing", "active"], MISSING, id="1 before 7"),
        pytest.param(["owned"], OWNED, id="3"),
        pytest.param(["owned", "completed"], OWNED, id="3 before 5"),
        pytest.param(["owned", "full"], OWNED, id="3 before 6"),
        pytest.param(["owned", "active"], OWNED, id="3 before 7"),
        pytest.param(["completed"], COMPLETED, id="5"),
        pytest.param(["completed", "full"], COMPLETED, id="5 before 6"),
        pytest.param(["full"], FULL, id="6"),
        pytest.param(["full", "active"], FULL, id="6 before 7"),
        pytest.param(["active"], ACTIVE, id="7"),
    ],
)
def test_offers_are_refused_in_the_order_of_the_rows(few_seats, conditions, expected):
    """A refused offer places no call, keeps no seat, and leaves the socket open."""

    async def main():
        async with offering(few_seats, *conditions) as caller:
            before = await look(few_seats)
            payload = await caller.description(**({"sdp": ""} if "missing" in conditions else {}))
            assert await refusal(caller, **payload) == expected
            assert await look(few_seats) == before

    asyncio.run(main())
    few_seats.await_idle()


def test_row_4_another_offer_for_a_live_connection_takes_no_seat(few_seats):
    async def main():
        async with offering(few_seats) as caller:
            await caller.offer()
            async with calling(few_seats.signaling()) as second, calling(few_seats.signaling()) as third:
                await second.offer()
                await third.offer()
                before = await look(few_seats)
                assert before["leases"] == SEATS, "the seats are not taken"
                await caller.offer()
                assert await look(few_seats) == before
                await caller.connected()

    asyncio.run(main())
    few_seats.await_idle()


def test_row_8_an_offer_is_answered_and_the_call_is_placed(gateway):
    async def main():
        before = await look(gateway)
        async with calling(gateway.signaling(run=61)) as caller:
            answer = await caller.offer(workflow_id=9, workflow_run_id=8, call_context_vars={"customer_name": "Ada"})
            assert set(answer) == {"sdp", "type", "pc_id"}
            end = await caller.message("ice-candidate")
            assert end == {"pc_id": caller.pc_id, "candidate": None}
            assert [each["type"] for each in caller.messages] == ["answer", "ice-candidate"]
            now = await look(gateway)
            assert now["started"] == before["started"] + 1
            assert (now["leases"], now["peer_connections"], now["sockets"]) == (1, 1, 1)
            [call] = gateway.look()["calls"]
            assert (call["workflow"], call["run"]) == (2, 61), "the address decides"

    asyncio.run(main())
    gateway.await_idle()


@pytest.mark.parametrize(("offered", "answered"), [("actpass", "active"), ("passive", "active"), ("active", "passive")])
def test_the_gateway_takes_the_dtls_role_that_is_left(gateway, offered, answered):
    async def main():
        async with calling(gateway.signaling()) as caller:
            payload = await caller.description()
            payload["sdp"] = payload["sdp"].replace("a=setup:actpass", f"a=setup:{offered}")
            await caller.send("offer", **payload)
            assert re.findall(r"a=setup:(\w+)", (await caller.message("answer"))["sdp"]) == [answered]

    asyncio.run(main())
    gateway.await_idle()


def test_two_sockets_of_one_run(few_seats):
    """The second is refused while the first has its call, and afterwards the run is over."""

    async def main():
        run = next(FRESH_RUNS)
        async with calling(few_seats.signaling(run=run)) as second:
            async with in_call(few_seats.signaling(run=run)) as first:
                assert await refusal(second, **await second.description()) == ACTIVE
                assert (await look(few_seats))["leases"] == 1, "the seat was not given back"
                await first.hears(len(first.frames) + 10)
            # Its run is over before its seat is free, and after the call is no longer listed.
            await asyncio.to_thread(few_seats.await_state, lambda now: now["leases"] == 0)
            assert await refusal(second, **await second.description()) == COMPLETED

    asyncio.run(main())
    few_seats.await_idle()


def test_runs_and_connections_are_their_callers_own(gateway):
    """Somebody else's run of the same number, and somebody else's pc_id, stand in nobody's way."""

    async def main():
        run = next(FRESH_RUNS)
        async with calling(gateway.signaling(run=run)) as mine:
            await mine.offer()
            async with calling(gateway.signaling(run=run, token=jwt(user="8"))) as other:
                other.pc_id = mine.pc_id
                await other.offer()
                assert (await look(gateway))["leases"] == 2

    asyncio.run(main())
    gateway.await_idle()


def test_a_run_whose_call_had_no_media_is_over_too(gateway):
    async def main():
        run = next(FRESH_RUNS)
        async with calling(gateway.signaling(run=run)) as caller:
            await caller.offer()
        await asyncio.to_thread(gateway.await_idle)
        with gateway.nothing_started():
            async with calling(gateway.signaling(run=run)) as caller:
                assert await refusal(caller, **await caller.description()) == COMPLETED

    asyncio.run(main())


def test_an_offer_that_cannot_be_answered_costs_nothing(few_seats):
    """Told why; seat and run are free again, so that the same socket's next offer is answered."""

    async def main():
        async with calling(few_seats.signaling()) as caller:
            before = await look(few_seats)
            for _ in range(SEATS + 1):
                error = await refusal(caller, **await caller.description(sdp="v=0\r\n"))
                assert set(error) == {"message"} and re.match(r"The offer could not be answered: .", error["message"])
            now = await look(few_seats)
            assert (now["started"], now["leases"], now["peer_connections"]) == (before["started"], 0, 0)
            await caller.offer()
            await caller.connected()
            assert (await look(few_seats))["started"] == before["started"] + 1

    asyncio.run(main())
    few_seats.await_idle()


def test_messages_are_compact_json_in_utf8(gateway):
    async def main():
        async with aiohttp.ClientSession() as session, session.ws_connect(gateway.signaling()) as socket:
            await socket.send_json({"type": "offer", "payload": {"pc_id": "PC-1", "type": "offer", "sdp": "Grüße"}})
            await socket.send_json({"type": "offer", "payload": {}})
            for _ in range(2):
                text = await socket.receive_str(timeout=5)
                assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)

    with gateway.nothing_started():
        asyncio.run(main())


# MARK: - What is ignored

HOST = "candidate:1 1 udp 2122260223 127.0.0.1 45406 typ host"


def trickled(candidate, pc_id="mine") -> dict:
    return {"type": "ice-candidate", "payload": {"pc_id": pc_id, "candidate": candidate}}


IGNORED = [
    pytest.param({"type": "unheard-of", "payload": {"pc_id": "mine"}}, id="an unknown type"),
    pytest.param({"type": "unheard-of", "payload": None}, id="an unknown type, payload null"),
    pytest.param({"type": "answer", "payload": {"sdp": "v=0"}}, id="a type of the gateway's"),
    pytest.param({"type": None, "payload": {}}, id="type null"),
    pytest.param({"type": 7, "payload": {}}, id="type a number"),
    pytest.param({"payload": {}}, id="no type"),
    pytest.param({}, id="nothing"),
    pytest.param({"type": "ice-candidate", "payload": {"candidate": {"candidate": HOST}}}, id="candidate without pc_id"),
    pytest.param(trickled({"candidate": HOST}, None), id="candidate, pc_id null"),
    pytest.param(trickled({"candidate": HOST}, "PC-nobody"), id="candidate, unknown pc_id"),
    pytest.param(trickled({"candidate": HOST}, "other"), id="candidate, another socket's pc_id"),
    pytest.param(trickled(None), id="candidate null"),
    pytest.param(trickled({}), id="candidate {}"),
    pytest.param({"type": "ice-candidate", "payload": {"pc_id": "mine"}}, id="candidate absent"),
    pytest.param(trickled({"candidate": ""}), id="candidate of no text"),
    pytest.param(trickled({"candidate": "candidate:nonsense"}), id="candidate of nonsense"),
    pytest.param(trickled({"candidate": "candidate:1 1 udp 1 127.0.0.1 99999 typ host"}), id="port of nonsense"),
    pytest.param(trickled({"candidate": HOST, "sdpMid": 7, "sdpMLineIndex": "x"}), id="candidate of no m-line"),
]


@pytest.mark.parametrize("message", IGNORED)
def test_what_is_ignored_has_no_reply_and_leaves_the_socket_usable(gateway, message):
    """Before the first offer, and again while its call lives."""

    async def main():
        async with calling(gateway.signaling()) as other, calling(gateway.signaling()) as caller:
            await other.offer()
            text = json.dumps(message).replace('"mine"', f'"{caller.pc_id}"').replace('"other"', f'"{other.pc_id}"')
            await caller.socket.send_str(text)
            await caller.offer()
            await caller.socket.send_str(text)
            await caller.offer()
            await caller.connected()
            await caller.until(lambda: len(caller.messages) >= 4, what="the end of candidates")
            assert [each["type"] for each in caller.messages] == ["answer", "ice-candidate"] * 2
            assert [each["type"] for each in other.messages] == ["answer", "ice-candidate"]

    asyncio.run(main())
    gateway.await_idle()


def test_a_candidate_that_the_policy_drops_has_no_reply(start):
    gateway = start(template=changed_config(("inbound: none", "inbound: private")))

    async def main():
        async with calling(gateway.signaling()) as caller:
            for number in 1, 2:
                await caller.offer(trickle=True)
                await caller.until(lambda number=number: len(caller.messages) == 2 * number, 10, "the end of candidates")
            await asyncio.sleep(0.2)
            assert caller.remote_candidates == 0
            assert [each["type"] for each in caller.messages] == ["answer", "ice-candidate"] * 2

    asyncio.run(main())


# MARK: - Renegotiation


@pytest.mark.parametrize("restart", [False, True], ids=["as it is", "restart_pc"])
@pytest.mark.parametrize(
    "pc_id",
    [
        pytest.param("absent", id="no pc_id"),
        pytest.param(None, id="pc_id null"),
        pytest.param("PC-nobody", id="unknown pc_id"),
        pytest.param("other", id="another socket's pc_id"),
    ],
)
def test_a_renegotiation_of_no_connection_of_this_socket(gateway, pc_id, restart):
    async def main():
        async with calling(gateway.signaling()) as other, calling(gateway.signaling()) as caller:
            await other.offer()
            before = await look(gateway)
            payload = await caller.description(pc_id=other.pc_id if pc_id == "other" else pc_id, restart_pc=restart)
            if pc_id == "absent":
                del payload["pc_id"]
            assert await refusal(caller, "renegotiate", **payload) == NOT_FOUND
            assert await look(gateway) == before

    asyncio.run(main())
    gateway.await_idle()


def test_restart_pc_keeps_the_call(few_seats):
    """A new peer connection in the same call: same id, same lease, no seat asked for, and sound both ways again."""

    async def main():
        async with AsyncExitStack() as stack, in_call(few_seats.signaling()) as caller:
            await caller.hears(10)
            for _ in range(SEATS - 1):
                await (await stack.enter_async_context(calling(few_seats.signaling()))).offer()
            before = await look(few_seats)
            assert before["leases"] == SEATS
            await caller.restart()
            await caller.connected()
            heard = len(caller.frames)
            await caller.hears(heard + 50)
            assert await look(few_seats) == before
            assert "call-ended" not in [each["type"] for each in caller.messages]
            await caller.pc.close()
            assert (await caller.message("call-ended"))["pc_id"] == caller.pc_id
            assert await caller.closed() == (1000, "call ended")

    asyncio.run(main())
    few_seats.await_idle()


def test_a_renegotiation_that_cannot_be_answered_is_told_and_the_call_goes_on(gateway):
    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            for restart in False, True:
                error = await refusal(caller, "renegotiate", pc_id=caller.pc_id, sdp="v=0\r\n", type="offer", restart_pc=restart)
                assert error["message"].startswith("The offer could not be answered: ")
                await caller.hears(len(caller.frames) + 30)
            assert (await look(gateway))["leases"] == 1

    asyncio.run(main())
    gateway.await_idle()


# MARK: - Malformed frames, and the end

NULL_PAYLOADS = [
    pytest.param(json.dumps({"type": type, "payload": None}), id=f"{type} with payload null")
    for type in ("offer", "ice-candidate", "renegotiate")
]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("{", id="broken JSON"),
        pytest.param("", id="nothing"),
        pytest.param("[]", id="an array"),
        pytest.param("7", id="a number"),
        pytest.param('"offer"', id="a string"),
        pytest.param("null", id="null"),
        pytest.param(b"\x00\x01", id="a binary frame"),
        pytest.param(b'{"type":"offer","payload":{}}', id="a binary frame of good JSON"),
        *NULL_PAYLOADS,
        pytest.param('{"type":"offer","payload":[]}', id="payload an array"),
        pytest.param('{"type":"offer","payload":"v=0"}', id="payload a string"),
        pytest.param(json.dumps(trickled(HOST)), id="a candidate that is a bare string"),
    ],
)
@pytest.mark.parametrize("live", [False, True], ids=["before a call", "in a call"])
def test_a_malformed_frame_is_told_and_then_closes_1007(gateway, frame, live):
    async def main():
        async with calling(gateway.signaling()) as caller:
            if live:
                await caller.offer()
                await caller.message("ice-candidate")
            after = len(caller.messages)
            text = frame.replace('"mine"', f'"{caller.pc_id}"') if isinstance(frame, str) else frame
            await (caller.socket.send_bytes if isinstance(text, bytes) else caller.socket.send_str)(text)
            code, reason = await caller.closed()
            assert code == 1007 and reason
            assert [each["type"] for each in caller.messages[after:]] == ["error"]
            assert set(caller.messages[-1]["payload"]) == {"message"} and caller.messages[-1]["payload"]["message"]
            await asyncio.to_thread(gateway.await_idle)

    if live:
        asyncio.run(main())
    else:
        with gateway.nothing_started():
            asyncio.run(main())


def test_a_message_of_64_kib_is_read_and_a_longer_one_closes_1009(gateway):
    def message(size: int) -> str:
        empty = '{"type":"unheard-of","payload":""}'
        return empty[:-2] + "x" * (size - len(empty)) + empty[-2:]

    async def main():
        async with calling(gateway.signaling()) as caller:
            await caller.socket.send_str(message(65_536))
            await caller.send("offer")
            assert await caller.message("error") == MISSING
            await caller.socket.send_str(message(65_537))
            code, _ = await caller.closed()
            assert code == 1009

    with gateway.nothing_started():
        asyncio.run(main())


def test_media_dies_with_its_socket(gateway):
    async def main():
        async with in_call(gateway.signaling()) as caller:
            await caller.hears(10)
            await caller.socket.close()
            await asyncio.to_thread(gateway.await_idle)
            await caller.until(lambda: caller.pc.connectionState == "closed", 5, "the end of media")

    asyncio.run(main())


def test_call_ended_is_the_last_message_before_close_1000(gateway):
    async def main():
        async with in_call(gateway.signaling(run=63)) as caller:
            await caller.hears(10)
            await caller.pc.close()
            assert await caller.closed(15) == (1000, "call ended")
            ended = {"workflow_run_id": 63, "pc_id": caller.pc_id, "reason": "peer_connection_closed"}
            assert caller.messages[-1] == {"type": "call-ended", "payload": ended}
            assert [each["type"] for each in caller.messages].count("call-ended") == 1

    asyncio.run(main())
    gateway.await_idle()
