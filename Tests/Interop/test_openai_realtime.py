"""OpenAI's own SDK holds conversations with `patchbay simulate openai-realtime`, and calls go through both of ours.

PATCHBAY_BINARY names the patchbay binary. espeak-ng must be installed. Everything stays on 127.0.0.1.
"""

import asyncio
import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import phone
import pytest
from conftest import Process
from spoken import espeak, mulaw, resample

openai = pytest.importorskip("openai")
from websockets.exceptions import InvalidStatus  # noqa: E402

LIMIT = 20  # seconds; the most that anything here may take
KEY = "a-key-for-the-simulator"
GREETING = "Good morning, this is the simulated model, and I have quite a lot to tell you before you may speak."
SCRIPT = ["--greeting", GREETING, "--reply", "One, as you wish.", "--reply", "Two, as you wish.",
          "--transcript", "what was heard"]


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    return espeak("Hello there, I have a question about my order.", tmp_path_factory.mktemp("speech") / "spoken.wav")


@pytest.fixture(scope="session")
def speech(spoken):
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in resample(*spoken, 24000))


@pytest.fixture(scope="session")
def telephone(spoken):
    return bytes(mulaw(sample) for sample in resample(*spoken, 8000))


@pytest.fixture(scope="session")
def packets(telephone):
    """The question as a telephone sends it."""
    return [telephone[start : start + 160].ljust(160, b"\xff") for start in range(0, len(telephone), 160)]


@pytest.fixture
def simulate():
    running = []

    def start(*options):
        simulator = Process(["simulate", "openai-realtime", "--port", "0", *options])
        running.append(simulator)
        return simulator

    yield start
    for simulator in running:
        simulator.stop()


# With the SDK


PCM = {"type": "audio/pcm", "rate": 24000}
PCMU = {"type": "audio/pcmu"}


def connect(simulator, key=KEY, model="gpt-realtime"):
    client = openai.AsyncOpenAI(api_key=key, base_url=simulator.url + "/v1")
    return client.realtime.connect(model=model)


async def configure(connection, format=PCM, **session):
    await connection.session.update(session={
        "type": "realtime", "output_modalities": ["audio"],
        "audio": {"input": {"format": format, "transcription": {"model": "whisper-1"},
                            **session.pop("input", {})},
                  "output": {"format": format, "voice": "marin"}}, **session})
    return await until(connection, "session.updated")


async def until(connection, kind):
    while True:
        event = await connection.recv()
        if event.type == kind:
            return event
        assert event.type != "error", event


class Answer:
    """One response to its end."""

    def __init__(self):
        self.audio, self.said, self.heard, self.item = b"", "", None, None
        self.types = []

    @classmethod
    async def receive(cls, connection):
        answer = cls()
        async for event in connection:
            answer.types.append(event.type)
            if event.type == "response.output_audio.delta":
                answer.audio += base64.b64decode(event.delta, validate=True)
                answer.item = event.item_id
            elif event.type == "response.output_audio_transcript.done":
                answer.said = event.transcript
            elif event.type == "conversation.item.input_audio_transcription.completed":
                answer.heard = event.transcript
            elif event.type == "response.done":
                answer.response = event.response
                return answer


async def stream(connection, samples, seconds, rate=48000, silence=b"\0"):
    """Sound in real time: the samples, then silence."""
    begin, size = time.monotonic(), rate // 20
    for index in range(int(seconds * 20)):
        chunk = samples[index * size : (index + 1) * size].ljust(size, silence)
        await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())
        await asyncio.sleep(max(0, begin + (index + 1) * 0.05 - time.monotonic()))


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, LIMIT))


@pytest.mark.parametrize("format, rate, silence", [(PCM, 48000, b"\0"), (PCMU, 8000, b"\xff")])
def test_holds_a_spoken_conversation(simulate, speech, telephone, format, rate, silence):
    simulator = simulate("--api-key", KEY, "--model", "gpt-realtime", *SCRIPT)

    async def talk():
        async with connect(simulator) as connection:
            assert (await connection.recv()).type == "session.created"
            updated = await configure(connection, format)
            assert updated.session.audio.input.format.type == format["type"]
            await connection.response.create()
            began = time.monotonic()
            greeting = await Answer.receive(connection)
            assert greeting.said == GREETING and greeting.response.status == "completed"
            assert len(greeting.audio) / rate > 2 * (time.monotonic() - began), "faster than real time"
            speaking = asyncio.ensure_future(
                stream(connection, speech if rate == 48000 else telephone, 8, rate, silence))
            answer = await Answer.receive(connection)
            speaking.cancel()
            assert (answer.heard, answer.said) == ("what was heard", "One, as you wish.")
            for kind in ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                         "input_audio_buffer.committed", "conversation.item.added", "response.created"]:
                assert kind in answer.types

    run(talk())


def test_is_interrupted_and_truncated(simulate, speech):
    simulator = simulate(*SCRIPT)

    async def talk():
        async with connect(simulator) as connection:
            await configure(connection)
            speaking = asyncio.ensure_future(stream(connection, speech, 12))
            answer = None
            while answer is None or not answer.audio:
                answer = await Answer.receive(connection)
            speaking.cancel()
            await connection.response.create()
            began = await until(connection, "response.created")
            await until(connection, "response.output_audio.delta")
            speaking = asyncio.ensure_future(stream(connection, speech, 12))
            cut = await Answer.receive(connection)
            assert cut.response.id == began.response.id and cut.response.status in ("cancelled", "completed")
            item = cut.response.output[0].id
            await connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=10)
            truncated = await until(connection, "conversation.item.truncated")
            assert (truncated.item_id, truncated.audio_end_ms) == (item, 10)
            await connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=100_000)
            while (event := await connection.recv()).type != "error":
                pass
            assert event.error.type == "invalid_request_error" and "already shorter" in event.error.message
            speaking.cancel()

    run(talk())


def test_speech_cancels_the_response(simulate, speech):
    simulator = simulate("--greeting", " ".join([GREETING] * 5))

    async def talk():
        async with connect(simulator) as connection:
            await configure(connection)
            await connection.response.create()
            await until(connection, "response.output_audio.delta")
            speaking = asyncio.ensure_future(stream(connection, speech, 12))
            cut = await Answer.receive(connection)
            speaking.cancel()
            assert cut.response.status == "cancelled" and cut.response.status_details.reason == "turn_detected"

    run(talk())


def test_calls_a_function(simulate):
    simulator = simulate("--tool", "lookup_order", "--tool-parameters", '{"order_id": "A17"}', "--tool-after", "0")
    tool = {"type": "function", "name": "lookup_order", "description": "Looks an order up.",
            "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}}}

    async def talk():
        async with connect(simulator) as connection:
            await configure(connection, tools=[tool], tool_choice="auto")
            await connection.response.create()
            call = await until(connection, "response.function_call_arguments.done")
            assert (call.name, json.loads(call.arguments)) == ("lookup_order", {"order_id": "A17"})
            await until(connection, "response.done")
            await connection.conversation.item.create(item={
                "type": "function_call_output", "call_id": call.call_id, "output": "shipped yesterday"})
            await connection.response.create()
            answer = await Answer.receive(connection)
            assert answer.said == "The answer is: shipped yesterday"

    run(talk())


def test_without_turn_detection_the_client_commits(simulate, speech):
    simulator = simulate(*SCRIPT)

    async def talk():
        async with connect(simulator) as connection:
            updated = await configure(connection, input={"turn_detection": None})
            assert updated.session.audio.input.turn_detection is None
            await stream(connection, speech, 1)
            await connection.input_audio_buffer.commit()
            await until(connection, "input_audio_buffer.committed")
            await connection.response.create()
            assert (await Answer.receive(connection)).said == "One, as you wish."

    run(talk())


@pytest.mark.parametrize("session, param", [
    ({"temperature": 0.8}, "session.temperature"),
    ({"output_modalities": ["audio", "text"]}, "session.output_modalities"),
    ({"max_output_tokens": 5000}, "session.max_output_tokens"),
])
def test_refuses_settings(simulate, session, param):
    simulator = simulate()

    async def talk():
        async with connect(simulator) as connection:
            await connection.send({"type": "session.update", "event_id": "mine",
                                   "session": {"type": "realtime", **session}})
            while (event := await connection.recv()).type != "error":
                pass
            assert (event.error.param, event.error.event_id) == (param, "mine")

    run(talk())


def test_refuses_keys_and_models(simulate):
    simulator = simulate("--api-key", KEY, "--model", "gpt-realtime")

    async def refused():
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(simulator, key="wrong"):
                pass
        assert refusal.value.response.status_code == 401
        async with connect(simulator, model="gpt-imaginary") as connection:
            while (event := await connection.recv()).type != "error":
                pass
            assert event.error.code == "model_not_found"

    run(refused())


def test_has_no_quota(simulate):
    simulator = simulate("--fail-responses", "insufficient_quota")

    async def talk():
        async with connect(simulator) as connection:
            await configure(connection)
            await connection.response.create()
            answer = await Answer.receive(connection)
            assert answer.response.status == "failed"
            assert answer.response.status_details.error.code == "insufficient_quota"

    run(talk())


# Through a server of ours


def pipeline(simulator, stages=(), tools=(), **settings):
    agent = {"type": "openai-realtime", "apiKey": {"env": "OPENAI_API_KEY"}, "firstMessage": "Good morning.",
             "baseUrl": simulator.url + "/v1", **settings}
    return json.dumps({"name": "desk", "numbers": ["*"], "transport": "twilio", "stages": [*stages, agent],
                       **({"tools": tools} if tools else {})})


def report(server):
    return json.loads(server.get("/calls"))["calls"][0]


def stretches(packets):
    """Sound without a gap of more than 150 ms: beginning and length in seconds."""
    found = []
    for at, _ in packets:
        if found and at - (found[-1][0] + found[-1][1]) < 0.15:
            found[-1][1] = at + 0.02 - found[-1][0]
        else:
            found.append([at, 0.02])
    return [stretch for stretch in found if stretch[1] > 0.2]


SILENCE = [phone.SILENCE]


@pytest.mark.parametrize("detection", ["server_vad", "none"])
def test_a_call_is_answered(simulate, serve, packets, detection):
    simulator = simulate("--api-key", KEY, "--reply", "Here you are.")
    stages = ["vad"] if detection == "none" else []
    server = serve(pipeline(simulator, stages, turnDetection=detection), environment={"OPENAI_API_KEY": KEY})
    played = []
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 150 + packets + SILENCE * 200, playout=played))
    assert len(stretches(played)) == 2, "a greeting and an answer"
    call = report(server)
    assert call["backend"] == "openai-realtime" and call["state"] == "ended"


@pytest.mark.parametrize("detection", ["server_vad", "none"])
def test_the_caller_stops_the_agent(simulate, serve, packets, detection):
    simulator = simulate("--reply", "Here you are.")
    stages = ["vad"] if detection == "none" else []
    document = pipeline(simulator, stages, turnDetection=detection, firstMessage=GREETING + " " + GREETING)
    server = serve(document, environment={"OPENAI_API_KEY": KEY})
    _, messages = asyncio.run(phone.call(server, "+15550100001", SILENCE * 150 + packets + SILENCE * 150))
    clears = [index for index, message in enumerate(messages) if message["event"] == "clear"]
    assert clears, "what the carrier held was thrown away"
    assert any(message["event"] == "media" for message in messages[clears[-1] :]), "the answer came"
    call = report(server)
    assert call["interruptions"] == 1 and call["agentFaults"] == 0, "the model was told what was heard"


@pytest.fixture
def warehouse():
    """A service that knows where an order is."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = b"shipped yesterday"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_tool_is_called(simulate, serve, packets, warehouse):
    url, asked = warehouse
    simulator = simulate("--tool", "lookup_order", "--tool-parameters", '{"order_id": "A17"}')
    tool = {"name": "lookup_order", "description": "Looks an order up.", "method": "GET", "url": url + "/orders/{order_id}",
            "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}}
    server = serve(pipeline(simulator, tools=[tool]), environment={"OPENAI_API_KEY": KEY})
    played = []
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 150 + packets + SILENCE * 250, playout=played))
    assert asked == ["/orders/A17"]
    assert len(stretches(played)) == 2, "a greeting, and the answer that tells of it"


@pytest.mark.parametrize("options, key, words", [
    (["--api-key", KEY], "wrong", "agent-unauthorized"),
    (["--model", "other"], KEY, "agent-unknown"),
    (["--fail-responses", "insufficient_quota"], KEY, "agent-quota"),
])
def test_a_refusal_is_told(simulate, serve, options, key, words):
    simulator = simulate(*options)
    server = serve(pipeline(simulator), environment={"OPENAI_API_KEY": key})
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 100))
    assert words in server.get("/calls") + "".join(server.lines)


def test_nobody_notices_that_the_session_expires(simulate, serve, packets):
    simulator = simulate("--reply", "Here you are, as you wish.", "--session-limit", "5")
    server = serve(pipeline(simulator), environment={"OPENAI_API_KEY": KEY})
    played = []
    turn = packets + SILENCE * 220
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 150 + turn + turn, playout=played))
    assert len(stretches(played)) == 3, "a greeting and two answers"
