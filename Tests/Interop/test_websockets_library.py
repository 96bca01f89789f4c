"""The `websockets` library on both sides of our server: a phone calls, an agent answers."""

import asyncio
import audioop
import base64
import json

from phone import call
from websockets.asyncio.server import serve as serve_websocket

ECHO = '{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}'


def test_a_phone_hears_its_own_bytes_again(serve):
    server = serve(ECHO)
    packets = [bytes((index * 7 + sample) % 251 for sample in range(160)) for index in range(100)]
    heard, messages = asyncio.run(call(server, "+15550100001", packets))
    sent = b"".join(packets)
    assert heard[: len(sent)] == sent
    assert {message["event"] for message in messages} <= {"media", "mark", "clear"}


class Agent:
    """ElevenLabs' protocol as its documentation tells it, as far as one test needs it."""

    def __init__(self, output_format, input_format="ulaw_8000"):
        self.formats = output_format, input_format
        self.audio = bytearray()
        self.pongs, self.initiation = [], None
        self.to_say, self.sockets = b"", 0

    async def handle(self, socket):
        self.sockets += 1
        output_format, input_format = self.formats
        await socket.send(json.dumps({
            "type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": {
                "conversation_id": "conv_1", "agent_output_audio_format": output_format,
                "user_input_audio_format": input_format}}))
        await socket.send(json.dumps({"type": "ping", "ping_event": {"event_id": 41, "ping_ms": None}}))
        for start in range(0, len(self.to_say), 4000):
            chunk = base64.b64encode(self.to_say[start : start + 4000]).decode()
            await socket.send(json.dumps({"type": "audio", "audio_event": {"audio_base_64": chunk, "event_id": 1}}))
        async for text in socket:
            message = json.loads(text)
            if "user_audio_chunk" in message:
                self.audio.extend(base64.b64decode(message["user_audio_chunk"], validate=True))
            elif message["type"] == "pong":
                self.pongs.append(message["event_id"])
            elif message["type"] == "conversation_initiation_client_data":
                self.initiation = message


def converse(serve, agent, stages, packets, until=None):
    async def run():
        async with serve_websocket(agent.handle, "127.0.0.1", 0, compression=None) as listener:
            port = listener.sockets[0].getsockname()[1]
            document = json.dumps({
                "name": "agent", "numbers": ["*"], "transport": "twilio",
                "stages": [stage if stage != "AGENT" else {
                    "type": "elevenlabs", "agentId": "agent_1", "baseUrl": f"http://127.0.0.1:{port}",
                    "dynamicVariables": {"caller": "${call.from}", "vip": True}} for stage in stages]})
            server = await asyncio.to_thread(serve, document)
            return await call(server, "+15550100001", packets, until=until)

    return asyncio.run(run())


def test_mulaw_reaches_a_mulaw_agent_untouched(serve):
    agent = Agent("ulaw_8000")
    agent.to_say = bytes(range(256)) * 10
    packets = [bytes((index * 3 + sample) % 256 for sample in range(160)) for index in range(60)]
    heard, _ = converse(serve, agent, ["AGENT"], packets)
    sent = b"".join(packets)
    assert bytes(agent.audio[: len(sent)]) == sent
    assert heard[: len(agent.to_say)] == agent.to_say
    assert agent.pongs == [41]
    assert agent.initiation["dynamic_variables"] == {"caller": "+15550100099", "vip": True}


def test_our_mulaw_encoder_is_within_one_step_of_audioop_for_every_sample(serve):
    samples = [value for value in range(-32768, 32768)]
    pcm = b"".join(value.to_bytes(2, "little", signed=True) for value in samples)
    agent = Agent("pcm_8000", "pcm_8000")
    agent.to_say = pcm
    heard, _ = converse(serve, agent, ["decoder", "AGENT", "encoder"], [], until=lambda heard: len(heard) >= len(samples))
    theirs = audioop.lin2ulaw(pcm, 2)
    ours = heard[: len(samples)]

    def step(code):  # the codes in the order of their values
        code ^= 0xFF
        return (code & 0x7F) if code & 0x80 == 0 else -(code & 0x7F) - 1

    differences = [abs(step(a) - step(b)) for a, b in zip(ours, theirs)]
    assert len(ours) == 65536 and max(differences) <= 1
    assert sum(1 for d in differences if d) < 1000
    decoded = audioop.ulaw2lin(bytes(range(256)) , 2)
    assert len(decoded) == 512


def test_what_the_agent_hears_is_what_audioop_decodes(serve):
    agent = Agent("pcm_8000", "pcm_8000")
    codes = bytes(range(256))
    packets = [(codes * 2)[start : start + 160] for start in range(0, 320, 160)] * 3
    converse(serve, agent, ["decoder", "AGENT", "encoder"], packets)
    expected = audioop.ulaw2lin(b"".join(packets), 2)
    assert bytes(agent.audio[: len(expected)]) == expected
