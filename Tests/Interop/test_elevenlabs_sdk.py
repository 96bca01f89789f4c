"""The official ElevenLabs SDK holds conversations with `patchbay simulate elevenlabs`.

PATCHBAY_BINARY names the patchbay binary. espeak-ng must be installed. Everything stays on 127.0.0.1.
"""

import os
import queue
import subprocess
import threading
import time
import wave
from contextlib import contextmanager

import pytest
from elevenlabs import ElevenLabs
from elevenlabs.conversational_ai.conversation import (
    AudioInterface,
    ClientTools,
    Conversation,
    ConversationInitiationData,
)

LIMIT = 20  # seconds; the most that anything here may take
CHUNK = 0.25  # seconds of audio per callback, as the SDK's documentation advises
RATE = 16000
GREETING = "Good morning, this is the simulated agent, and I have quite a lot to tell you before you may speak."
KEY = "a-key-for-the-simulator"


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("PATCHBAY_BINARY")
    if not path:
        pytest.skip("PATCHBAY_BINARY does not name the patchbay binary")
    return path


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    """A spoken question as 16-bit samples at 16 kHz."""
    spoken = tmp_path_factory.mktemp("speech") / "spoken.wav"
    text = "Hello there, I have a question about my order."
    subprocess.run(["espeak-ng", "-v", "en", "-w", spoken, text], check=True, timeout=LIMIT)
    with wave.open(str(spoken)) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1
        rate, data = file.getframerate(), memoryview(file.readframes(file.getnframes())).cast("h")
    # Lines between samples are enough for a detector of speech.
    count = len(data) * RATE // rate - 1
    samples = bytearray()
    for index in range(count):
        position = index * rate / RATE
        at = int(position)
        value = data[at] + (data[min(at + 1, len(data) - 1)] - data[at]) * (position - at)
        samples += int(value).to_bytes(2, "little", signed=True)
    return bytes(samples)


@contextmanager
def simulator(binary, *options):
    """Starts the simulator, gives its base URL, and ends it."""
    command = [binary, "simulate", "elevenlabs", "--port", "0", "--greeting", GREETING, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = queue.Queue()
    reader = threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True)
    reader.start()
    try:
        line = lines.get(timeout=LIMIT)
        assert line.startswith("listening on 127.0.0.1:"), line
        yield "http://127.0.0.1:" + line.strip().rsplit(":", 1)[1]
    finally:
        process.terminate()
        try:
            process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class Telephone(AudioInterface):
    """A microphone that is silent unless told to play something, and a loudspeaker that writes down what it gets."""

    def __init__(self):
        self.heard = queue.Queue()
        self.interrupted = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._waiting = b""
        self._thread = None

    def start(self, input_callback):
        self._thread = threading.Thread(target=self._send, args=(input_callback,), daemon=True)
        self._thread.start()

    def _send(self, input_callback):
        size = int(RATE * CHUNK) * 2
        due = time.monotonic()
        while not self._stopped.is_set():
            with self._lock:
                chunk, self._waiting = self._waiting[:size], self._waiting[size:]
            input_callback(chunk.ljust(size, b"\0"))
            due += CHUNK
            self._stopped.wait(max(0, due - time.monotonic()))

    def play(self, samples):
        with self._lock:
            self._waiting += samples

    def stop(self):
        self._stopped.set()

    def output(self, audio):
        self.heard.put(audio)

    def interrupt(self):
        while not self.heard.empty():
            self.heard.get_nowait()
        self.interrupted.set()

    def hear(self, count):
        """Waits for at least `count` bytes."""
        heard, end = b"", time.monotonic() + LIMIT
        while len(heard) < count:
            heard += self.heard.get(timeout=max(0.01, end - time.monotonic()))
        return heard


class Call:
    """One conversation and everything its callbacks were told."""

    def __init__(self, base_url, api_key=None, tools=None, config=None, text_only=False, agent="agent_1"):
        self.telephone = None if text_only else Telephone()
        self.responses = queue.Queue()
        self.corrections = queue.Queue()
        self.transcripts = queue.Queue()
        self.parts = queue.Queue()
        self.ended = queue.Queue()
        self.conversation = Conversation(
            ElevenLabs(api_key=api_key or "unused", base_url=base_url),
            agent,
            requires_auth=api_key is not None,
            audio_interface=self.telephone,
            client_tools=tools,
            config=config,
            callback_agent_response=self.responses.put,
            callback_agent_response_correction=lambda *texts: self.corrections.put(texts),
            callback_agent_chat_response_part=lambda *part: self.parts.put(part),
            callback_user_transcript=self.transcripts.put,
            callback_disconnect=self.ended.put,
        )

    def __enter__(self):
        self.conversation.start_session()
        return self

    def __exit__(self, *_):
        self.conversation.end_session()
        self.finish()

    def finish(self):
        """Waits for the end and gives the conversation's id."""
        thread = self.conversation._thread
        thread.join(timeout=LIMIT)
        assert not thread.is_alive(), "the conversation did not end"
        return self.conversation.wait_for_session_end()


def test_greets_without_authentication(binary):
    with simulator(binary) as url, Call(url) as call:
        assert call.responses.get(timeout=LIMIT) == GREETING
        audio = call.telephone.hear(3 * 2 * RATE)
        assert max(memoryview(audio[: len(audio) // 2 * 2]).cast("h")) > 1000
        call.conversation.end_session()
        assert call.ended.get(timeout=LIMIT).reason == "user"
        assert call.finish().startswith("conv_")


def test_greets_with_a_signed_url(binary):
    options = ["--api-key", KEY, "--agent-id", "agent_1", "--private"]
    with simulator(binary, *options) as url:
        with Call(url, api_key=KEY) as call:
            assert call.responses.get(timeout=LIMIT) == GREETING
            call.telephone.hear(RATE)
        with pytest.raises(Exception, match="401"):
            Call(url, api_key="wrong").conversation.start_session()
        with pytest.raises(Exception, match="404"):
            Call(url, api_key=KEY, agent="another").conversation.start_session()
        # Without a signature the private agent refuses the WebSocket.
        with Call(url) as refused:
            assert refused.ended.get(timeout=LIMIT).reason == "error"


def test_hears_speech_and_replies(binary, speech):
    options = ["--greeting", "Hello.", "--reply", "That is your reply.", "--transcript", "what was heard"]
    with simulator(binary, *options) as url, Call(url) as call:
        assert call.responses.get(timeout=LIMIT) == "Hello."
        # The greeting has been played before the caller speaks, so nothing is interrupted.
        played = call.telephone.hear(RATE)
        call.telephone.play(b"\0" * (len(played) + RATE) + speech)
        assert call.transcripts.get(timeout=LIMIT) == "what was heard"
        assert call.responses.get(timeout=LIMIT) == "That is your reply."
        call.telephone.hear(RATE)
        assert not call.telephone.interrupted.is_set()


@pytest.mark.parametrize("late", [False, True])
def test_is_interrupted(binary, speech, late):
    options = ["--reply", "That is your reply.", *(["--late-audio"] if late else [])]
    with simulator(binary, *options) as url, Call(url) as call:
        assert call.responses.get(timeout=LIMIT) == GREETING
        call.telephone.hear(RATE)
        # All of the greeting arrives within two seconds, but takes longer to play.
        call.telephone.play(b"\0" * 3 * RATE + speech)
        assert call.telephone.interrupted.wait(LIMIT)
        original, corrected = call.corrections.get(timeout=LIMIT)
        assert original == GREETING
        assert corrected.endswith("...") and GREETING.startswith(corrected[:-3])
        assert 3 < len(corrected) < len(GREETING)
        # Audio of the cut response is dropped; the reply has a greater id and is heard.
        assert call.telephone.heard.empty()
        assert call.responses.get(timeout=LIMIT) == "That is your reply."
        assert len(call.telephone.hear(RATE)) >= RATE


def test_runs_a_registered_tool(binary):
    called = queue.Queue()

    def look_up(parameters):
        called.put(parameters)
        return {"status": "shipped"}

    tools = ClientTools()
    tools.register("lookup_order", look_up)
    options = ["--tool", "lookup_order", "--tool-parameters", '{"order_id": "A17"}']
    with simulator(binary, *options) as url, Call(url, tools=tools) as call:
        call.telephone.hear(RATE)
        call.conversation.send_user_message("Where is my order?")
        parameters = called.get(timeout=LIMIT)
        assert parameters["order_id"] == "A17" and parameters["tool_call_id"]
        assert call.transcripts.get(timeout=LIMIT) == "Where is my order?"
        assert call.responses.get(timeout=LIMIT) == GREETING
        reply = call.responses.get(timeout=LIMIT)
        assert reply.startswith("The answer is:") and "shipped" in reply
        call.telephone.hear(RATE)


def test_hears_of_an_unregistered_tool(binary):
    with simulator(binary, "--tool", "open_door") as url, Call(url) as call:
        call.telephone.hear(RATE)
        call.conversation.send_user_message("Please open the door.")
        assert call.responses.get(timeout=LIMIT) == GREETING
        reply = call.responses.get(timeout=LIMIT)
        assert reply.startswith("I am sorry") and "open_door" in reply and "not registered" in reply


def test_ends_with_1000_and_a_conversation_id(binary):
    options = ["--reply", "One.", "--goodbye", "Goodbye then."]
    with simulator(binary, *options) as url, Call(url) as call:
        assert call.responses.get(timeout=LIMIT) == GREETING
        for expected in ["One.", "Goodbye then."]:
            call.conversation.send_user_message("next")
            assert call.responses.get(timeout=LIMIT) == expected
        details = call.ended.get(timeout=LIMIT)
        assert (details.reason, details.close_code) == ("agent", 1000)
        assert call.finish().startswith("conv_")


def test_honours_overrides_and_variables(binary):
    config = ConversationInitiationData(
        conversation_config_override={"agent": {"first_message": "Guten Tag, Ann.", "language": "de"}},
        dynamic_variables={"name": "Ann", "balance": 12.5, "vip": True},
    )
    with simulator(binary, "--require-variable", "balance") as url, Call(url, config=config) as call:
        assert call.responses.get(timeout=LIMIT) == "Guten Tag, Ann."
        call.telephone.hear(RATE)


@pytest.mark.parametrize(
    "options, config",
    [
        (
            ["--no-overrides"],
            ConversationInitiationData(conversation_config_override={"agent": {"first_message": "Hi."}}),
        ),
        (["--require-variable", "name"], None),
    ],
)
def test_refuses_what_the_agent_does_not_allow(binary, options, config):
    with simulator(binary, *options) as url, Call(url, config=config) as call:
        details = call.ended.get(timeout=LIMIT)
        assert (details.reason, details.close_code) == ("error", 1008)
        assert call.responses.empty()


def test_text_only(binary):
    with simulator(binary, "--reply", "One.") as url, Call(url, text_only=True) as call:
        assert call.responses.get(timeout=LIMIT) == GREETING
        assert [call.parts.get(timeout=LIMIT)[1].value for _ in range(3)] == ["start", "delta", "stop"]
        call.conversation.send_user_message("hello")
        assert call.responses.get(timeout=LIMIT) == "One."


@pytest.mark.parametrize("code, reason", [(1000, "agent"), (1002, "error"), (1006, "error"), (1011, "error")])
def test_closes_on_demand(binary, code, reason):
    with simulator(binary, "--close-with", str(code), "--close-after", "0.5") as url, Call(url) as call:
        details = call.ended.get(timeout=LIMIT)
        assert (details.reason, details.close_code) == (reason, code)


def test_survives_a_huge_message(binary):
    with simulator(binary, "--huge-audio") as url, Call(url) as call:
        assert len(call.telephone.hear(1_500_000)) == (2 << 20) // 4 * 3
