"""Half a second in which something stands still: no word is lost, and no delay stays behind.

Medians and wide margins, since this clock is the real one; StallTests asks the same of a virtual clock, to the packet.
"""

import asyncio
import base64
import json
import signal

from phone import SILENCE, call
from websockets.asyncio.server import serve as serve_websocket

ECHO = '{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}'
#: Speech for a second, a pause of 0.7 seconds, four times; every packet of speech is unlike any other.
PACKETS = [
    SILENCE if index % 85 >= 50 else bytes([index % 85 + 1, index // 85 + 1]) * 80 for index in range(340)]
#: The second stretch of speech is packets 85 to 134: the stall is in its middle.
STALL, END = 95, 120


def freeze(server):
    return {STALL: lambda: server.process.send_signal(signal.SIGSTOP),
            END: lambda: server.process.send_signal(signal.SIGCONT)}


def median(values):
    return sorted(values)[len(values) // 2]


def delays(times, sent):
    """How much later than it was sent each packet of speech is there, by its number."""
    numbers = {packet: index for index, packet in enumerate(PACKETS) if packet != SILENCE}
    return {numbers[packet]: time - sent[numbers[packet]] for time, packet in times if packet in numbers}


def test_towards_the_caller(serve):
    server = serve(ECHO)
    sent, playout = [], []
    asyncio.run(call(server, "+15550100001", PACKETS, sent=sent, playout=playout, at=freeze(server)))
    speech = [index for index, packet in enumerate(PACKETS) if packet != SILENCE]
    delay = delays(playout, sent)
    assert sorted(delay) == speech, "every word was played, once"
    order = [packet for _, packet in playout if packet != SILENCE]
    assert order == [PACKETS[index] for index in speech], "in their order"
    usual = median([delay[index] for index in range(50)])
    assert delay[123] > usual + 0.3, "the stall was heard"
    after = [delay[index] for index in range(170, 220)]
    assert median(after) < usual + 0.06, f"after the next pause nothing is left of it: {median(after):.3f}, {usual:.3f}"
    report = json.loads(server.get("/calls"))["calls"][0]
    assert report["underruns"] >= 1 and report["silenceSkippedMs"] > 200 and report["lateDroppedMs"] == 0


class Listener:
    """An agent that only listens, and notes when each chunk came."""

    def __init__(self):
        self.chunks, self.pause_at = [], None

    async def handle(self, socket):
        await socket.send(json.dumps({
            "type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": {
                "conversation_id": "conv_1", "agent_output_audio_format": "ulaw_8000",
                "user_input_audio_format": "ulaw_8000"}}))
        async for text in socket:
            message = json.loads(text)
            if "user_audio_chunk" not in message:
                continue
            audio = base64.b64decode(message["user_audio_chunk"], validate=True)
            now = asyncio.get_running_loop().time()
            self.chunks += [(now, audio[offset : offset + 160]) for offset in range(0, len(audio), 160)]
            if self.pause_at and len(self.chunks) >= self.pause_at:
                self.pause_at = None
                await asyncio.sleep(0.5)  # the fault itself: half a second in which nothing is read


def converse(serve, agent, faults):
    sent = []

    async def run():
        async with serve_websocket(agent.handle, "127.0.0.1", 0, compression=None) as listener:
            port = listener.sockets[0].getsockname()[1]
            server = await asyncio.to_thread(serve, json.dumps({
                "name": "agent", "numbers": ["*"], "transport": "twilio", "stages": [
                    {"type": "elevenlabs", "agentId": "agent_1", "baseUrl": f"http://127.0.0.1:{port}"}]}))
            await call(server, "+15550100001", PACKETS, sent=sent, at=faults(server))

    asyncio.run(run())
    return delays(agent.chunks, sent)


def check(delay):
    assert sorted(delay) == [index for index, packet in enumerate(PACKETS) if packet != SILENCE]
    usual = median([delay[index] for index in range(50)])
    late = median([delay[index] for index in range(100, 110)])
    assert late > usual + 0.15, "the stall was there"
    # 100 ms after everything runs again.
    after = [delay[index] for index in range(END + 5, 135)] + [delay[index] for index in range(170, 220)]
    assert median(after) < usual + 0.06


def test_towards_the_agent_when_the_server_stands_still(serve):
    check(converse(serve, Listener(), freeze))


def test_towards_the_agent_when_the_agent_stands_still(serve):
    agent = Listener()
    agent.pause_at = STALL
    check(converse(serve, agent, lambda server: None))
