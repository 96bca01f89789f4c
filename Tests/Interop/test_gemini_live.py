"""Google's own SDK holds conversations with `patchbay simulate gemini-live`, and calls go through both of ours.

PATCHBAY_BINARY names the patchbay binary. espeak-ng must be installed. Everything stays on 127.0.0.1.
"""

import asyncio
import json
import time

import phone
import pytest
from conftest import Process
from spoken import espeak, mulaw, resample

genai = pytest.importorskip("google.genai")
from google.genai import errors, live, types  # noqa: E402

LIMIT = 20  # seconds; the most that anything here may take
RATE = 16000
KEY = "a-key-for-the-simulator"
MODEL = "gemini-2.5-flash-native-audio-preview-12-2025"
GREETING = "Good morning, this is the simulated model, and I have quite a lot to tell you before you may speak."
SCRIPT = ["--greeting", GREETING, "--reply", "One, as you wish.", "--reply", "Two, as you wish.",
          "--transcript", "what was heard"]


@pytest.fixture(autouse=True)
def plain_sockets(monkeypatch):
    """The SDK always uses TLS; the simulator has none."""
    connect = live.ws_connect
    monkeypatch.setattr(live, "ws_connect", lambda uri, additional_headers=None, **_: connect(
        uri.replace("wss://", "ws://", 1), additional_headers=additional_headers))


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    return espeak("Hello there, I have a question about my order.", tmp_path_factory.mktemp("speech") / "spoken.wav")


@pytest.fixture(scope="session")
def speech(spoken):
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in resample(*spoken, RATE))


@pytest.fixture(scope="session")
def packets(spoken):
    """The question as a telephone sends it."""
    data = bytes(mulaw(sample) for sample in resample(*spoken, 8000))
    return [data[start : start + 160].ljust(160, b"\xff") for start in range(0, len(data), 160)]


@pytest.fixture
def simulate():
    running = []

    def start(*options):
        simulator = Process(["simulate", "gemini-live", "--port", "0", *options])
        running.append(simulator)
        return simulator

    yield start
    for simulator in running:
        simulator.stop()


# With the SDK


def connect(simulator, key=KEY, model=MODEL, **config):
    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=simulator.url))
    return client.aio.live.connect(model=model, config={"response_modalities": ["AUDIO"], **config})


TRANSCRIBED = {"input_audio_transcription": {}, "output_audio_transcription": {}}


async def ask(session, text="Please begin."):
    await session.send_client_content(turns=types.Content(role="user", parts=[types.Part(text=text)]))


async def stream(session, samples, seconds):
    """Sound in real time: the samples, then silence."""
    begin = time.monotonic()
    for index in range(int(seconds * 20)):
        chunk = samples[index * 1600 : (index + 1) * 1600].ljust(1600, b"\0")
        await session.send_realtime_input(audio=types.Blob(data=chunk, mime_type=f"audio/pcm;rate={RATE}"))
        await asyncio.sleep(max(0, begin + (index + 1) * 0.05 - time.monotonic()))


class Turn:
    """What came until the turn was complete."""

    def __init__(self):
        self.audio, self.said, self.heard = b"", "", ""
        self.interrupted = self.generated = False
        self.generated_at = self.completed_at = None

    @classmethod
    async def receive(cls, session):
        turn = cls()
        async for message in session.receive():
            content = message.server_content
            if not content:
                continue
            for part in (content.model_turn.parts if content.model_turn else []) or []:
                assert part.inline_data.mime_type == "audio/pcm;rate=24000"
                turn.audio += part.inline_data.data
            if content.output_transcription:
                turn.said += content.output_transcription.text or ""
            if content.input_transcription:
                turn.heard += content.input_transcription.text or ""
            turn.interrupted |= bool(content.interrupted)
            if content.generation_complete:
                turn.generated_at = time.monotonic()
        turn.completed_at = time.monotonic()
        return turn


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, LIMIT))


@pytest.mark.parametrize("options", [[], ["--bundle"]])
def test_holds_a_spoken_conversation(simulate, speech, options):
    simulator = simulate("--api-key", KEY, "--model", MODEL, *SCRIPT, *options)

    async def talk():
        async with connect(simulator, **TRANSCRIBED) as session:
            assert session.session_id
            await ask(session)
            greeting = await Turn.receive(session)
            assert greeting.said == GREETING
            assert max(memoryview(greeting.audio).cast("h")) > 1000
            # All of it comes early, and the turn is over when it has been played.
            length = len(greeting.audio) / 48000
            assert greeting.completed_at - greeting.generated_at > length / 2
            speaking = asyncio.ensure_future(stream(session, speech, 8))
            answer = await Turn.receive(session)
            speaking.cancel()
            assert (answer.heard, answer.said, answer.interrupted) == ("what was heard", "One, as you wish.", False)

    run(talk())


def test_is_interrupted(simulate, speech):
    simulator = simulate(*SCRIPT)

    async def talk():
        async with connect(simulator, **TRANSCRIBED) as session:
            await ask(session)
            speaking = asyncio.ensure_future(stream(session, b"\0" * RATE + speech, 12))
            greeting = await Turn.receive(session)
            assert greeting.interrupted
            answer = await Turn.receive(session)
            speaking.cancel()
            assert answer.said == "One, as you wish." and not answer.interrupted

    run(talk())


def test_calls_a_function(simulate):
    simulator = simulate(*SCRIPT, "--tool", "lookup_order", "--tool-parameters", '{"order_id": "A17"}')
    tool = {"function_declarations": [{
        "name": "lookup_order", "description": "Looks an order up.",
        "parameters": {"type": "OBJECT", "properties": {"order_id": {"type": "STRING"}}}}]}

    async def talk():
        async with connect(simulator, tools=[tool], **TRANSCRIBED) as session:
            await ask(session)
            await Turn.receive(session)
            await session.send_realtime_input(text="Where is my order?")
            async for message in session.receive():
                if message.tool_call:
                    call = message.tool_call.function_calls[0]
                    break
            assert (call.name, call.args) == ("lookup_order", {"order_id": "A17"})
            await session.send_tool_response(function_responses=[types.FunctionResponse(
                id=call.id, name=call.name, response={"output": "shipped yesterday"})])
            answer = await Turn.receive(session)
            assert answer.said == "The answer is: shipped yesterday"

    run(talk())


def test_goes_away_and_is_resumed(simulate):
    simulator = simulate(*SCRIPT, "--go-away-after", "3", "--go-away-time-left", "2")

    async def talk():
        handles, time_left = [], None
        async with connect(simulator, session_resumption={}, **TRANSCRIBED) as session:
            await session.send_realtime_input(text="Hello?")
            await session.send_realtime_input(text="Hello?")
            with pytest.raises(errors.APIError):
                while True:
                    async for message in session.receive():
                        update = message.session_resumption_update
                        if update and update.resumable:
                            handles.append(update.new_handle)
                        if message.go_away:
                            time_left = message.go_away.time_left
        assert time_left in ("2s", "2.000s") and len(set(handles)) >= 2
        async with connect(simulator, session_resumption={"handle": handles[-1]}, **TRANSCRIBED) as session:
            await session.send_realtime_input(text="And now?")
            answer = await Turn.receive(session)
            assert answer.said in ("One, as you wish.", "Two, as you wish."), "it does not greet again"
        with pytest.raises(errors.APIError, match="session not found"):
            async with connect(simulator, session_resumption={"handle": "made up"}):
                pass

    run(talk())


@pytest.mark.parametrize("options, key, model, code, words", [
    (["--api-key", KEY], "wrong", MODEL, 1007, "API key not valid"),
    (["--model", MODEL], KEY, "gemini-1.0-nano", 1008, "not found"),
    (["--no-quota"], KEY, MODEL, 1011, "quota"),
])
def test_refuses(simulate, options, key, model, code, words):
    simulator = simulate(*options)

    async def talk():
        with pytest.raises(errors.APIError, match=words) as refusal:
            async with connect(simulator, key=key, model=model):
                pass
        assert refusal.value.code == code

    run(talk())


# Through a server of ours


def pipeline(simulator, key="GEMINI_API_KEY", stages=(), **settings):
    agent = {"type": "gemini-live", "apiKey": {"env": key}, "firstMessage": "Good morning.",
             "baseUrl": simulator.url, **settings}
    return json.dumps({"name": "desk", "numbers": ["*"], "transport": "twilio", "stages": [*stages, agent]})


def report(server):
    return json.loads(server.get("/calls"))["calls"][0]


class Playback:
    """When the caller heard something."""

    def __init__(self):
        self.packets = []

    @property
    def stretches(self):
        """Sound without a gap of more than 150 ms: beginning and length in seconds."""
        stretches = []
        for at, _ in self.packets:
            if stretches and at - (stretches[-1][0] + stretches[-1][1]) < 0.15:
                stretches[-1][1] = at + 0.02 - stretches[-1][0]
            else:
                stretches.append([at, 0.02])
        return [stretch for stretch in stretches if stretch[1] > 0.2]


SILENCE = [phone.SILENCE]


@pytest.mark.parametrize("detection", ["automatic", "none"])
def test_a_call_is_answered(simulate, serve, packets, detection):
    simulator = simulate("--api-key", KEY, "--greeting", "Hello.", "--reply", "Here you are.")
    stages = ["vad"] if detection == "none" else []
    server = serve(pipeline(simulator, stages=stages, turnDetection=detection), environment={"GEMINI_API_KEY": KEY})
    playback = Playback()
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 150 + packets + SILENCE * 200, playout=playback.packets))
    assert len(playback.stretches) == 2, "a greeting and an answer"
    call = report(server)
    assert call["backend"] == "gemini-live" and call["state"] == "ended"


def test_the_caller_stops_the_agent(simulate, serve, packets):
    simulator = simulate("--greeting", GREETING + " " + GREETING, "--reply", "Here you are.")
    server = serve(pipeline(simulator), environment={"GEMINI_API_KEY": KEY})
    sent, messages = [], None
    _, messages = asyncio.run(
        phone.call(server, "+15550100001", SILENCE * 150 + packets + SILENCE * 150, sent=sent))
    clears = [index for index, message in enumerate(messages) if message["event"] == "clear"]
    assert len(clears) == 1, "what the carrier held was thrown away, once"
    assert any(message["event"] == "media" for message in messages[clears[0] :]), "the answer came"


def test_a_function_that_nobody_has_is_refused_in_words(simulate, serve, packets):
    simulator = simulate("--greeting", "Hello.", "--tool", "open_door")
    server = serve(pipeline(simulator), environment={"GEMINI_API_KEY": KEY})
    playback = Playback()
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 150 + packets + SILENCE * 350, playout=playback.packets))
    assert len(playback.stretches) >= 2, "the model says that it did not work"


def test_nobody_notices_that_the_server_goes_away(simulate, serve, packets):
    simulator = simulate("--greeting", "Hello.", "--reply", "Here you are, as you wish.",
                         "--go-away-after", "4", "--go-away-time-left", "6")
    server = serve(pipeline(simulator), environment={"GEMINI_API_KEY": KEY})
    playback = Playback()
    turn = packets + SILENCE * 220
    asyncio.run(phone.call(
        server, "+15550100001", SILENCE * 150 + turn + turn + turn, playout=playback.packets))
    assert len(playback.stretches) == 4, "a greeting and three answers, none of them with a gap"
    lengths = [length for _, length in playback.stretches[1:]]
    assert max(lengths) - min(lengths) < 0.1, "none of them shortened"
    call = report(server)
    assert call["state"] == "ended"
    simulator.stop()
    assert any("4 conversations" in line or "3 conversations" in line for line in simulator.lines), simulator.lines


@pytest.mark.parametrize("options, code", [
    (["--api-key", "another"], "agent-unauthorized"), (["--model", "other"], "agent-unknown"), (["--no-quota"], "agent-quota"),
])
def test_refusals_are_named(simulate, serve, options, code):
    simulator = simulate(*options)
    server = serve(pipeline(simulator), environment={"GEMINI_API_KEY": KEY})
    asyncio.run(phone.call(server, "+15550100001", SILENCE * 100))
    assert code in json.dumps(json.loads(server.get("/calls"))) or any(code in line for line in server.lines)
    assert not any(KEY in line for line in server.lines), "no key in the log"
