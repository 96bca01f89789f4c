"""Starts the real server for official clients that we did not write."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import urllib.request

import pytest

BINARY = os.environ.get("PATCHBAY_BINARY", ".build/debug/patchbay")
AUTH_TOKEN = "interop-auth-token"
# Where servers keep a token of their own.
STATE = tempfile.mkdtemp(prefix="patchbay-state-")
# Commands that are run without a server of ours find it there, too.
os.environ["XDG_STATE_HOME"] = STATE


class Process:
    """A command of ours, with the port it says it listens on."""

    def __init__(self, arguments, environment=None, wrapper=(), binary=None):
        self.process = subprocess.Popen(
            [*wrapper, binary or BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "TWILIO_AUTH_TOKEN": AUTH_TOKEN, "XDG_STATE_HOME": STATE, **(environment or {})})
        self.lines = []
        self.port = None
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if not self._ready.wait(30) or self.port is None:
            self.stop()
            raise RuntimeError("did not start:\n" + "".join(self.lines))

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "listens on" in line or "listening on" in line:
                self.port = int(line.strip().rsplit(":", 1)[1])
                self._ready.set()
            elif line.startswith("{") and '"message":"listening"' in line:
                self.port = int(json.loads(line)["port"])
                self._ready.set()
        self._ready.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return response.read().decode()

    def post(self, path, body=b""):
        request = urllib.request.Request(self.url + path, body, method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


@pytest.fixture
def serve(tmp_path):
    """Gives a function that serves the given documents."""
    running = []

    def start(*documents, environment=None, arguments=()):
        for index, document in enumerate(documents):
            (tmp_path / f"{index}.json").write_text(document)
        server = Process(
            ["serve", str(tmp_path), "--port", "0", "--drain-timeout", "1", *arguments], environment)
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()
