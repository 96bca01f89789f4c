"""The shipped deployments as their teams run them: their folder is served as it is, with an environment."""

import audioop
import json
import tempfile
from contextlib import contextmanager
from pathlib import Path

from conftest import AUTH_TOKEN, Process


def fill(name, values, path):
    """The deployment's `.env.example` with values in it, and those it does not name behind."""
    lines, rest = [], dict(values)
    for line in open(f"Pipelines/{name}/.env.example").read().splitlines():
        key = line.split("=")[0]
        lines.append(f"{key}={rest.pop(key)}" if key in rest else line)
    lines += [f"{key}={value}" for key, value in rest.items()]
    path.write_text("\n".join(lines) + "\n")


@contextmanager
def deployed(name, environment, *arguments, folder=None):
    """`patchbay serve Pipelines/NAME` with a filled `.env`; what it says is checked for secrets at the end."""
    values = {"PUBLIC_URL": "", "TWILIO_AUTH_TOKEN": AUTH_TOKEN, **environment}
    with tempfile.TemporaryDirectory() as settings:
        file = Path(settings) / ".env"
        fill(name, values, file)
        server = Process(
            ["serve", str(folder or f"Pipelines/{name}"), "--port", "0", "--drain-timeout", "1", "--env-file", str(file), *arguments])
        try:
            yield server
        finally:
            server.stop()
            said = "".join(server.lines)
            for key, value in values.items():
                if key.endswith(("_KEY", "_TOKEN", "_SECRET")) and value:
                    assert value not in said, f"{key} was said aloud"


def report(server, sid, calls="/calls"):
    """The call of that name, with its events."""
    [entry] = [entry for entry in json.loads(server.get(calls))["calls"] if entry["callSid"] == sid]
    return json.loads(server.get("/calls/" + entry["id"]))


def said(report, event):
    return [entry["detail"] for entry in report["events"] if entry["event"] == event]


def linear(mulaw, rate=16_000):
    """Telephone sound as a browser sends it."""
    return audioop.ratecv(audioop.ulaw2lin(mulaw, 2), 2, 1, 8000, rate, None)[0]
