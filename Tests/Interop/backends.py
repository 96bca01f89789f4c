"""Every agent backend that speaks over a socket, with its vendor's simulator: what differs between them, in one place."""

import http.server
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from conftest import Process

KEY = "a-key-for-the-simulators"
GREETING = "Good morning."
REPLIES = ["One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen.", "Very well."]
QUESTION = "which day is free"


@dataclass(frozen=True)
class Backend:
    type: str
    #: The entry of a pipeline file that makes an agent at this port.
    entry: callable
    #: Options of `patchbay simulate TYPE`, beside those that all of them have.
    options: tuple = ()
    environment: dict = field(default_factory=dict)

    def simulator(self, *options):
        script = ["--greeting", GREETING, "--transcript", QUESTION]
        for reply in REPLIES:
            script += ["--reply", reply]
        return Process(["simulate", self.type, "--port", "0", *script, *self.options, *options])


BACKENDS = [
    Backend(
        "elevenlabs",
        lambda port: {"type": "elevenlabs", "agentId": "agent_1", "baseUrl": f"http://127.0.0.1:{port}"},
        options=("--format", "ulaw_8000")),
    Backend(
        "openai-realtime",
        lambda port: {
            "type": "openai-realtime", "apiKey": {"env": "OPENAI_API_KEY"}, "baseUrl": f"http://127.0.0.1:{port}/v1"},
        options=("--api-key", KEY), environment={"OPENAI_API_KEY": KEY}),
    Backend(
        "gemini-live",
        lambda port: {
            "type": "gemini-live", "apiKey": {"env": "GEMINI_API_KEY"}, "baseUrl": f"http://127.0.0.1:{port}",
            "firstMessage": GREETING},
        options=("--api-key", KEY), environment={"GEMINI_API_KEY": KEY}),
    Backend("websocket", lambda port: {"type": "websocket", "url": f"ws://127.0.0.1:{port}"}),
]

ENVIRONMENT = {name: value for backend in BACKENDS for name, value in backend.environment.items()}


class Diary(http.server.ThreadingHTTPServer):
    """A real HTTP server with one tool: which times of a day are free. Notes what it is asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def tool(self, name="free_times"):
        return {
            "name": name, "description": "Which times of a day are free.", "method": "GET",
            "url": f"http://127.0.0.1:{self.server_port}/slots",
            "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = json.dumps({"free": ["10:00", "14:30"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def document(*entries, name="desk", **more):
    agent = entries[0] if len(entries) == 1 else {"type": "agent", "backends": list(entries)}
    return json.dumps({"name": name, "numbers": ["*"], "transport": "twilio", "stages": [agent], **more})


@contextmanager
def simulated(backend, *options):
    simulator = backend.simulator(*options)
    try:
        yield simulator
    finally:
        simulator.stop()
