"""What goes wrong between a pipeline and its agent, case by case: the pipeline, and the vendor that does it.

Most vendors are the simulators. What those cannot do is done by a small server here, in the vendor's messages.
"""

import json
import re
import socket
import threading
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

KEY, WRONG = "the-key-of-the-account", "another-key"
ENVIRONMENT = {"RIGHT_KEY": KEY, "WRONG_KEY": WRONG}
GREETING = "Good morning."
#: Ends every conversation in the middle of its first words.
LOST = ("--close-with", "1006", "--close-after", "0.5")

#: Where an operator reads it.
LINT, LOG = "lint", "log"


@dataclass(frozen=True)
class Simulated:
    """`patchbay simulate TYPE` with these options; those alike are one process."""

    type: str
    options: tuple = ()

    @property
    def arguments(self):
        greeting = ("--greeting", GREETING) if self.options[:1] != ("--never-start",) else ()
        return ["simulate", self.type, "--port", "0", *greeting, *self.options]


@dataclass(frozen=True)
class Fake:
    """Answers the handshake, or any request, with a status; or opens, sends a message for each that comes, and closes."""

    status: int = 0
    body: str = ""
    messages: tuple = ()
    close: tuple = (1000, "")

    def start(self):
        def refuse(connection, request):
            if self.status:
                return connection.respond(self.status, self.body)

        def converse(connection):
            try:
                for message in self.messages:
                    connection.recv(10)
                    connection.send(json.dumps(message))
                if not self.messages:
                    connection.recv(10)
                connection.close(*self.close)
            except ConnectionClosed:
                pass

        server = serve(converse, "127.0.0.1", 0, process_request=refuse, compression=None)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


class Nobody:
    """A port at which nobody listens."""


@dataclass(frozen=True)
class Case:
    backend: str
    name: str
    #: How it comes about, for the table.
    cause: str
    #: The agent's entry, with the vendor's port as `{port}`.
    entry: dict = field(default_factory=dict)
    vendor: object = None
    place: str = LOG
    #: Why there is no such case; all else is left out then.
    impossible: str = ""

    def document(self, name, number, port):
        entry = json.loads(json.dumps({"type": self.backend, **self.entry}).replace("{port}", str(port)))
        limits = {"agentReadySeconds": 1} if self.name == "vendor silent" else {}
        return json.dumps({
            "name": name, "numbers": [number], "transport": "twilio", "stages": [entry],
            **({"limits": limits} if limits else {})})


def key(name):
    return {"env": name}


def merged(base, **changes):
    """An entry with changes; `None` takes a setting away."""
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


ELEVENLABS = {"agentId": "agent_1", "apiKey": key("RIGHT_KEY"), "baseUrl": "http://127.0.0.1:{port}"}
OPENAI = {"apiKey": key("RIGHT_KEY"), "baseUrl": "http://127.0.0.1:{port}/v1"}
GEMINI = {"apiKey": key("RIGHT_KEY"), "baseUrl": "http://127.0.0.1:{port}", "firstMessage": GREETING}
WEBSOCKET = {"url": "ws://127.0.0.1:{port}", "token": key("RIGHT_KEY")}

ACCOUNT = ("--api-key", KEY)
ELEVENLABS_ACCOUNT = Simulated("elevenlabs", (*ACCOUNT, "--private", "--agent-id", "agent_1"))
ELEVENLABS_STRICT = Simulated("elevenlabs", ("--no-overrides", "--require-variable", "salon"))
OPENAI_ACCOUNT = Simulated("openai-realtime", (*ACCOUNT, "--model", "gpt-realtime"))
GEMINI_ACCOUNT = Simulated("gemini-live", (*ACCOUNT, "--model", "gemini-2.5-flash-native-audio-preview-12-2025"))
WEBSOCKET_ACCOUNT = Simulated("websocket", ("--token", KEY, "--format", "pcm16_48000"))


def reported(code, message):
    """An agent of the open protocol that reports an error in place of `ready`."""
    return Fake(messages=({"type": "error", "code": code, "message": message},))


def refusing(type, status):
    """A simulator that answers every handshake with a status."""
    return Simulated(type, ("--refuse-with", str(status), "--retry-after", "1"))


CASES = [
    # ElevenLabs
    Case("elevenlabs", "missing key", "the variable that `apiKey` names is not set", merged(ELEVENLABS, apiKey=key("NO_KEY")),
         place=LINT),
    Case("elevenlabs", "missing key", "no `apiKey`, and the agent is private", merged(ELEVENLABS, apiKey=None),
         ELEVENLABS_ACCOUNT),
    Case("elevenlabs", "wrong key", "the vendor does not know it", merged(ELEVENLABS, apiKey=key("WRONG_KEY")),
         ELEVENLABS_ACCOUNT),
    Case("elevenlabs", "unknown agent", "no `agentId` anywhere", merged(ELEVENLABS, agentId=None), place=LINT),
    Case("elevenlabs", "unknown agent", "no `agentId` anywhere, and a call comes", merged(ELEVENLABS, agentId=None), Nobody()),
    Case("elevenlabs", "unknown agent", "with a key", merged(ELEVENLABS, agentId="agent_9"), ELEVENLABS_ACCOUNT),
    Case("elevenlabs", "unknown agent", "without a key", merged(ELEVENLABS, agentId="agent_9", apiKey=None),
         ELEVENLABS_ACCOUNT),
    Case("elevenlabs", "quota", "used up before the call", ELEVENLABS, Fake(401, json.dumps({
        "detail": {"status": "quota_exceeded", "message": "This request exceeds your quota."}}))),
    Case("elevenlabs", "quota", "used up in mid-sentence", merged(ELEVENLABS, apiKey=None),
         Simulated("elevenlabs", ("--quota",))),
    Case("elevenlabs", "quota", "too many conversations at once", merged(ELEVENLABS, apiKey=None),
         Simulated("elevenlabs", ("--queue-full", "--queue", "0.2"))),
    Case("elevenlabs", "refused setting", "`firstMessage`, an override that the agent does not allow",
         merged(ELEVENLABS, apiKey=None, firstMessage="Hello."), ELEVENLABS_STRICT),
    Case("elevenlabs", "refused setting", "a dynamic variable that the agent needs is missing",
         merged(ELEVENLABS, apiKey=None), ELEVENLABS_STRICT),
    Case("elevenlabs", "refused format", "the agent announces one that nobody documents", merged(ELEVENLABS, apiKey=None), Fake(
        messages=({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": {
            "conversation_id": "conv_1", "agent_output_audio_format": "mp3_44100",
            "user_input_audio_format": "pcm_16000"}},), close=(1000, ""))),
    Case("elevenlabs", "expired URL", "the signed URL is too old when it is dialled", ELEVENLABS,
         Simulated("elevenlabs", (*ACCOUNT, "--private", "--expired-urls"))),
    Case("elevenlabs", "vendor unreachable", "nobody listens; with a key", ELEVENLABS, Nobody()),
    Case("elevenlabs", "vendor unreachable", "nobody listens; without a key", merged(ELEVENLABS, apiKey=None), Nobody()),
    Case("elevenlabs", "vendor unreachable", "HTTP 503", ELEVENLABS, Fake(503)),
    Case("elevenlabs", "vendor unreachable", "HTTP 503 in place of the WebSocket", merged(ELEVENLABS, apiKey=None),
         refusing("elevenlabs", 503)),
    Case("elevenlabs", "vendor silent", "the socket opens and nothing comes", merged(ELEVENLABS, apiKey=None),
         Simulated("elevenlabs", ("--never-start",))),
    Case("elevenlabs", "vendor lost", "the connection breaks in mid-sentence, each time", merged(ELEVENLABS, apiKey=None),
         Simulated("elevenlabs", LOST)),
    # OpenAI
    Case("openai-realtime", "missing key", "the variable that `apiKey` names is not set", merged(OPENAI, apiKey=key("NO_KEY")),
         place=LINT),
    Case("openai-realtime", "missing key", "neither `apiKey` nor OPENAI_API_KEY", merged(OPENAI, apiKey=None), place=LINT),
    Case("openai-realtime", "missing key", "neither `apiKey` nor OPENAI_API_KEY, and a call comes",
         merged(OPENAI, apiKey=None), Nobody()),
    Case("openai-realtime", "wrong key", "the vendor does not know it", merged(OPENAI, apiKey=key("WRONG_KEY")), OPENAI_ACCOUNT),
    Case("openai-realtime", "unknown model", "`model` names none", merged(OPENAI, model="gpt-nobody"), OPENAI_ACCOUNT),
    Case("openai-realtime", "quota", "used up", OPENAI,
         Simulated("openai-realtime", (*ACCOUNT, "--fail-responses", "insufficient_quota"))),
    Case("openai-realtime", "quota", "too many requests: HTTP 429", OPENAI, refusing("openai-realtime", 429)),
    Case("openai-realtime", "refused setting", "`voice` names none", merged(OPENAI, voice="nobody"), OPENAI_ACCOUNT),
    Case("openai-realtime", "expired URL", "", impossible=(
        "not applicable: the address holds no signature, and the key comes with every connection; a session that reaches its "
        "longest duration is replaced by another one")),
    Case("openai-realtime", "vendor unreachable", "nobody listens", OPENAI, Nobody()),
    Case("openai-realtime", "vendor unreachable", "HTTP 503", OPENAI, refusing("openai-realtime", 503)),
    Case("openai-realtime", "vendor silent", "the socket opens and nothing comes", OPENAI,
         Simulated("openai-realtime", ("--never-start",))),
    Case("openai-realtime", "vendor lost", "the connection breaks in mid-sentence, each time", OPENAI,
         Simulated("openai-realtime", LOST)),
    # Gemini
    Case("gemini-live", "missing key", "the variable that `apiKey` names is not set", merged(GEMINI, apiKey=key("NO_KEY")),
         place=LINT),
    Case("gemini-live", "missing key", "neither `apiKey` nor GEMINI_API_KEY", merged(GEMINI, apiKey=None), place=LINT),
    Case("gemini-live", "missing key", "neither `apiKey` nor GEMINI_API_KEY, and a call comes", merged(GEMINI, apiKey=None),
         Nobody()),
    Case("gemini-live", "wrong key", "the vendor does not know it", merged(GEMINI, apiKey=key("WRONG_KEY")), GEMINI_ACCOUNT),
    Case("gemini-live", "unknown model", "`model` names none", merged(GEMINI, model="gemini-nobody"), GEMINI_ACCOUNT),
    Case("gemini-live", "quota", "used up", GEMINI, Simulated("gemini-live", (*ACCOUNT, "--no-quota"))),
    Case("gemini-live", "quota", "too many requests: HTTP 429", GEMINI, refusing("gemini-live", 429)),
    Case("gemini-live", "refused setting", "an argument that this model does not take", merged(GEMINI, thinkingBudget=0),
         Fake(close=(1007, "Request contains an invalid argument."))),
    Case("gemini-live", "expired URL", "", impossible=(
        "not applicable: the address holds no signature, and the key comes with every connection; handles for resuming that "
        "are not taken any more only make the conversation begin anew")),
    Case("gemini-live", "vendor unreachable", "nobody listens", GEMINI, Nobody()),
    Case("gemini-live", "vendor unreachable", "HTTP 503", GEMINI, refusing("gemini-live", 503)),
    Case("gemini-live", "vendor silent", "the socket opens and nothing comes", GEMINI,
         Simulated("gemini-live", ("--never-start",))),
    Case("gemini-live", "vendor lost", "the connection breaks in mid-sentence, each time", GEMINI,
         Simulated("gemini-live", LOST)),
    # An agent of one's own
    Case("websocket", "missing key", "the variable that `token` names is not set", merged(WEBSOCKET, token=key("NO_KEY")),
         place=LINT),
    Case("websocket", "missing key", "no `token`, and the agent wants one", merged(WEBSOCKET, token=None), WEBSOCKET_ACCOUNT),
    Case("websocket", "wrong key", "the agent does not know it", merged(WEBSOCKET, token=key("WRONG_KEY")), WEBSOCKET_ACCOUNT),
    Case("websocket", "unknown agent", "no `url`", merged(WEBSOCKET, url=None), place=LINT),
    Case("websocket", "unknown agent", "HTTP 404", WEBSOCKET, Fake(404)),
    Case("websocket", "unknown agent", "the agent says so", WEBSOCKET, reported("unknownAgent", "nobody is called desk")),
    Case("websocket", "quota", "HTTP 429", WEBSOCKET, refusing("websocket", 429)),
    Case("websocket", "quota", "the agent says so", WEBSOCKET, reported("quota", "ten calls are the limit")),
    Case("websocket", "refused setting", "the agent says so", WEBSOCKET,
         reported("settingRefused", "the variable salon is missing")),
    Case("websocket", "refused format", "`inputFormats` lacks what the agent takes",
         merged(WEBSOCKET, inputFormats=["mulaw_8000"]), WEBSOCKET_ACCOUNT),
    Case("websocket", "refused format", "the agent chooses one that was not offered", merged(WEBSOCKET, token=None),
         Simulated("websocket", ("--mistake", "format-not-offered"))),
    Case("websocket", "expired URL", "", impossible=(
        "not applicable: `url` is dialled as it stands; a token that has expired is a wrong key")),
    Case("websocket", "vendor unreachable", "nobody listens", WEBSOCKET, Nobody()),
    Case("websocket", "vendor unreachable", "HTTP 503", WEBSOCKET, refusing("websocket", 503)),
    Case("websocket", "vendor silent", "the socket opens and nothing comes", merged(WEBSOCKET, token=None),
         Simulated("websocket", ("--never-start",))),
    Case("websocket", "vendor lost", "the connection breaks in mid-sentence, each time", merged(WEBSOCKET, token=None),
         Simulated("websocket", LOST)),
    # In the process itself
    Case("script", "refused setting", "no `say`", place=LINT),
    Case("script", "refused setting", "`say` names a sound that is not there", {"say": "nowhere.wav"}, place=LINT),
    Case("script", "refused setting", "`voice` names none", {"say": "Hello.", "voice": "nobody"}, place=LINT),
    Case("script", "all others", "", impossible=(
        "not applicable: it runs in the process, with no key, no account and no network")),
    Case("echo", "refused setting", "a setting that it does not have", {"say": "Hello."}, place=LINT),
    Case("echo", "all others", "", impossible=(
        "not applicable: it runs in the process, with no key, no account and no network")),
]


def closed_port():
    """A port that is taken and at which nobody listens."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


def masked(text):
    """Without what differs from run to run."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
