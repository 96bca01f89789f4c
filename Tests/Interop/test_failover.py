"""Agents that die in mid-sentence: how long the caller hears nothing, on the real clock and over real sockets.

The virtual clock asserts the same to the packet; here the length is printed, and a wide margin is asserted.
"""

import asyncio
import json
import math
import struct
import wave

import pytest
from conftest import Process
from phone import SILENCE, call

#: Told apart by their zero crossings.
FIRST, SECOND, BRIDGE = 400, 1600, 800


def tone(path, frequency, seconds):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"".join(
            struct.pack("<h", int(12000 * math.sin(2 * math.pi * frequency * index / 16000)))
            for index in range(int(16000 * seconds))))
    return str(path)


def frequency(packet):
    """By zero crossings; 0 for silence."""
    if all(byte in (0xFF, 0x7F) for byte in packet):
        return 0
    signs = [byte & 0x80 for byte in packet]
    return 50 * sum(a != b for a, b in zip(signs, signs[1:])) / 2


def nearest(packet):
    found = frequency(packet)
    return min((FIRST, BRIDGE, SECOND), key=lambda each: abs(each - found)) if found else 0


def gaps(playout):
    """The stretches in which nothing sounds, in seconds, between the first sound and the last."""
    sounding = [time for time, packet in playout if nearest(packet)]
    return [b - a - 0.02 for a, b in zip(sounding, sounding[1:]) if b - a > 0.03]


@pytest.fixture
def simulate():
    running = []

    def start(*arguments):
        running.append(Process(["simulate", "elevenlabs", "--port", "0", "--format", "ulaw_8000", *arguments]))
        return running[-1]

    yield start
    for process in running:
        process.stop()


def document(backends, **settings):
    return json.dumps({
        "name": "desk", "numbers": ["*"], "transport": "twilio",
        "stages": [{"type": "agent", "backends": backends, **settings}]})


def elevenlabs(simulator):
    return {"type": "elevenlabs", "agentId": "agent_1", "baseUrl": simulator.url}


@pytest.mark.parametrize("sentence, slow_start", [(6, 0), (6, 1.0), (1.5, 2.0)])
def test_killed_in_mid_sentence(serve, simulate, tmp_path, sentence, slow_start):
    first = simulate(
        "--greeting", tone(tmp_path / "first.wav", FIRST, sentence), "--close-with", "1006", "--close-after", "1.2")
    # Who takes over does not greet: it goes on.
    second = simulate("--reply", tone(tmp_path / "second.wav", SECOND, 2), "--slow-start", str(slow_start))
    server = serve(document(
        [elevenlabs(first), elevenlabs(second)], bridge=tone(tmp_path / "bridge.wav", BRIDGE, 0.6)))
    playout = []
    asyncio.run(call(server, "+15550100001", [SILENCE] * 450, playout=playout))
    heard = [nearest(packet) for _, packet in playout]
    assert heard[0] == FIRST and SECOND in heard
    silences = gaps(playout)
    report = json.loads(server.get("/calls"))["calls"][0]
    print(f"\na sentence of {sentence} s, next agent ready after {slow_start} s: nothing was heard for {[round(g * 1000) for g in silences]} ms; "
          f"the server counts {report['agentSilenceMs']:.0f} ms")
    assert all(gap < 3 for gap in silences)
    assert (BRIDGE in heard) == (sentence < 2), "what had been sent is heard first, and may be enough"
    assert report["agentFailures"] == 1 and report["agentTakeovers"] == 1


def test_an_agent_process_that_is_killed(serve, simulate, tmp_path):
    first = simulate("--greeting", tone(tmp_path / "first.wav", FIRST, 6))
    server = serve(document(
        [elevenlabs(first), {"type": "script", "say": tone(tmp_path / "second.wav", SECOND, 2)}]))
    playout = []
    asyncio.run(call(
        server, "+15550100001", [SILENCE] * 350, playout=playout, at={60: lambda: first.process.kill()}))
    silences = gaps(playout)
    print(f"\nkilled by the system: nothing was heard for {[round(g * 1000) for g in silences]} ms")
    assert SECOND in [nearest(packet) for _, packet in playout]
    assert all(gap < 3 for gap in silences)


def test_nobody_is_left(serve, simulate, tmp_path):
    only = simulate("--greeting", tone(tmp_path / "first.wav", FIRST, 6), "--close-with", "1008", "--close-after", "1")
    server = serve(document([elevenlabs(only)], transferTo="+4930123456"))
    asyncio.run(call(server, "+15550100001", [SILENCE] * 400))
    report = json.loads(server.get("/calls"))["calls"][0]
    assert report["endReason"] == "transferred: +4930123456"
