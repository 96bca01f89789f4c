"""The example's service answers a call, and every command of the tutorial does what the tutorial shows."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import AUTH_TOKEN, Process

EXAMPLE = pathlib.Path("Examples/Concierge").resolve()
TUTORIAL = pathlib.Path("Sources/Patchbay/Patchbay.docc/Tutorial.md")
PRODUCTS = pathlib.Path(os.environ.get("EXAMPLE_PRODUCTS", ".build/debug")).resolve()
ANSWER = "Room 12. Breakfast is from seven to ten, in the garden."


def tool(*arguments):
    return subprocess.run(
        [PRODUCTS / "hotel-patchbay", *arguments], cwd=EXAMPLE, capture_output=True, text=True, timeout=60,
        env={**os.environ, "TWILIO_AUTH_TOKEN": AUTH_TOKEN})


@pytest.fixture
def hotel(monkeypatch):
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.setattr("conftest.BINARY", str(PRODUCTS / "concierge"))
    process = Process(["0"])
    yield process
    process.stop()


def test_a_guest_types_a_room_and_hears_what_is_planned(hotel):
    result = tool(
        "call", "--server", hotel.url, "--to", "+15550100043", "--keys", "12#", "--limit", "9", "--format", "json")
    assert result.returncode == 0, result.stderr
    agent = [segment for segment in json.loads(result.stdout)["segments"] if segment["side"] == "agent"]
    assert len(agent) >= 2, "a greeting, then the answer"
    call = json.loads(hotel.get("/calls"))["calls"][0]
    assert call["pipeline"] == "night", "the one that is written in Swift"
    assert call["heard"]["text"] == ANSWER and call["state"] == "ended" and call["backend"] == "concierge"


def test_the_hotel_has_routes_of_its_own_beside_ours(hotel):
    assert hotel.get("/rooms/12") == ANSWER
    assert json.loads(hotel.get("/health"))["status"] == "ok"
    with pytest.raises(urllib.error.HTTPError) as missing:
        hotel.get("/rooms/13")
    assert missing.value.code == 404


def test_the_command_knows_the_hotels_components(tmp_path):
    listed = json.loads(tool("list", "--format", "json").stdout)
    assert {"roomkeys", "concierge", "vad", "elevenlabs"} <= {spec["type"] for spec in listed}
    assert "patienceMs" in tool("describe", "roomkeys").stdout
    assert tool("lint").returncode == 0
    (tmp_path / "wrong.json").write_text(
        '{"name": "wrong", "transport": "twilio", "stages": [{"type": "roomkeys", "digits": 9}, "concierge"]}')
    wrong = tool("lint", str(tmp_path))
    assert wrong.returncode == 78 and '"digits" is 9; allowed 1 to 6' in wrong.stdout
    schema = tool("schema")
    assert schema.returncode == 0 and "roomkeys" in schema.stdout


def test_the_file_in_the_tutorial_is_the_shipped_one():
    documents = re.findall(r"```json(?: ignore)?\n(.*?)```", TUTORIAL.read_text(), re.S)
    assert documents == [(EXAMPLE / "Pipelines/front-desk.json").read_text()]


def commands():
    """The tutorial's commands with what is shown of their output; `make test` itself runs the builds."""
    for block in re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(), re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, shown = part.partition("\n")
            if not command.startswith("swift "):
                yield command, shown


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_every_command_of_the_tutorial_prints_what_is_shown(tmp_path):
    shutil.copytree(EXAMPLE / "Pipelines", tmp_path / "Pipelines")
    steps = list(commands())
    assert len(steps) == 8
    port = free_port()
    script = ["set -u"]
    for index, (command, _) in enumerate(steps):
        script.append(f"echo '<<{index}'")
        script.append(command.replace("8042", port).replace(".build/debug", str(PRODUCTS)))
        if command.endswith("&"):
            script.append('service=$!; trap "kill $service" EXIT')
            script.append(f"for _ in $(seq 300); do curl -sf http://127.0.0.1:{port}/health >/dev/null && break; sleep 0.1; done")
        else:
            script.append("status=$?; echo; echo \"status $status\"")
    result = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120)
    outputs = re.split(r"^<<\d+\n", result.stdout, flags=re.M)[1:]
    assert len(outputs) == len(steps), result.stdout
    for (command, shown), output in zip(steps, outputs):
        pattern = ".*".join(re.escape(piece.strip()) for piece in shown.replace("8042", port).split("…"))
        assert re.search(pattern, output, re.S), f"$ {command}\n{output}"
        assert command.endswith("&") or re.search("^status 0$", output, re.M), f"$ {command}\n{output}"
    assert (tmp_path / "call.wav").stat().st_size > 100_000
