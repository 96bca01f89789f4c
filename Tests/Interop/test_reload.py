"""Pipelines that change under the running binary: by signal, by watching, over HTTP, by command."""

import asyncio
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import wave

from conftest import BINARY, Process
from phone import call, webhook


def echo(description, stage='"echo"', numbers='["*"]'):
    return (f'{{"name": "echo", "description": "{description}", "numbers": {numbers}, "transport": "twilio", '
            f'"stages": [{stage}]}}')


def pipelines(server):
    return json.loads(server.get("/pipelines"))


def description(server):
    return pipelines(server)["pipelines"][0]["description"]


def wait(what, condition):
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, f"waited 15 s for {what}"
        time.sleep(0.05)


def replace(path, text):
    """As careful editors do it: written beside, then renamed."""
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    os.replace(beside, path)


def post(server, path):
    request = urllib.request.Request(server.url + path, b"")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def reload(server, *arguments, environment=None):
    return subprocess.run(
        [BINARY, "reload", "--server", server.url, *arguments], capture_output=True, text=True, timeout=30,
        env={**os.environ, **(environment or {})})


def test_sighup_reads_the_pipelines_again(serve, tmp_path):
    server = serve(echo("one"))
    (tmp_path / "0.json").write_text(echo("two"))
    server.process.send_signal(signal.SIGHUP)
    wait("the reload", lambda: pipelines(server)["revision"] == 2)
    assert description(server) == "two" and pipelines(server)["loadedBy"] == "signal"
    (tmp_path / "0.json").write_text(echo("three", stage='"ecco"'))
    server.process.send_signal(signal.SIGHUP)
    wait("the refusal", lambda: "lastError" in pipelines(server))
    assert description(server) == "two"
    assert pipelines(server)["lastError"]["diagnostics"][0]["code"] == "unknown-type"
    wait("the log", lambda: any("those in force stay" in line for line in server.lines))
    wait("the mistake", lambda: any("there is no stage" in line and "0.json:1:" in line for line in server.lines))
    assert server.stop() == 0


def test_a_running_call_keeps_its_version_and_every_packet(serve, tmp_path):
    server = serve(echo("one"))
    version = pipelines(server)["pipelines"][0]["version"]
    packets = [bytes([0x20 + index % 96]) * 160 for index in range(150)]
    seen = []

    def change(index):
        def act():
            (tmp_path / "0.json").write_text(echo(f"change {index}"))
            server.process.send_signal(signal.SIGHUP)
        return act

    def look():
        threading.Thread(target=lambda: seen.append(pipelines(server)["pipelines"][0])).start()

    heard, _ = asyncio.run(call(
        server, "+15550100001", packets, at={20: change(0), 60: change(1), 100: change(2), 130: look}))
    assert heard[: 150 * 160] == b"".join(packets), "the reloads cut nothing off"
    assert seen[0]["version"] != version
    assert {"version": version, "running": 1} in seen[0]["calls"]
    listed = json.loads(server.get("/calls"))["calls"]
    assert listed[0]["version"] == version
    webhook(server, "+15550100001", "CA" + "2" * 32)
    assert json.loads(server.get("/calls/CA" + "2" * 32))["version"] == pipelines(server)["pipelines"][0]["version"]


def test_watching_follows_files_that_come_change_and_go(serve, tmp_path):
    server = serve(echo("one"), arguments=["--watch"])
    replace(tmp_path / "0.json", echo("two"))
    wait("the change", lambda: pipelines(server)["revision"] == 2)
    assert description(server) == "two" and pipelines(server)["loadedBy"] == "watch"
    (tmp_path / "1.json").write_text(
        '{"name": "second", "numbers": ["+15550100002"], "transport": "twilio", "stages": ["echo"]}')
    wait("the new file", lambda: len(pipelines(server)["pipelines"]) == 2)
    (tmp_path / "1.json").unlink()
    wait("its end", lambda: len(pipelines(server)["pipelines"]) == 1)
    (tmp_path / "0.json").write_text("{")
    wait("the mistake", lambda: "lastError" in pipelines(server))
    assert description(server) == "two"
    replace(tmp_path / "0.json", echo("two"))
    wait("the remedy", lambda: "lastError" not in pipelines(server))
    revision = pipelines(server)["revision"]
    (tmp_path / "server.json").write_text('{"limits": {"maximumCalls": 7}}')
    wait("the words", lambda: any("restart to apply it" in line for line in server.lines))
    assert pipelines(server)["revision"] == revision


def test_watching_sees_a_link_that_is_exchanged(serve, tmp_path):
    # As Kubernetes mounts a ConfigMap: files that are links through a folder that is exchanged whole.
    for name in ("first", "second"):
        (tmp_path / f".{name}").mkdir()
        (tmp_path / f".{name}" / "0.json").write_text(echo(name))
    (tmp_path / "..data").symlink_to(".first")
    (tmp_path / "0.json").symlink_to("..data/0.json")
    server = serve(arguments=["--watch"])
    assert description(server) == "first"
    (tmp_path / "..next").symlink_to(".second")
    os.replace(tmp_path / "..next", tmp_path / "..data")
    wait("the other folder", lambda: description(server) == "second")


def test_watching_follows_the_fragments_that_are_included(serve, tmp_path):
    pipelines_folder = tmp_path
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    for folder in (pipelines_folder / "shared", elsewhere):
        folder.mkdir()
        (folder / "part.json").write_text('{"stages": ["decoder"]}')
    document = echo("one").replace(
        '["echo"]', '[{"type": "include", "file": "%s"}, "echo", "encoder"]')
    server = serve(document % "shared/part.json", arguments=["--watch"])
    replace(pipelines_folder / "shared" / "part.json", '{"stages": ["decoder", "vad"]}')
    wait("the fragment", lambda: pipelines(server)["revision"] == 2)
    replace(pipelines_folder / "0.json", document % (elsewhere / "part.json"))
    wait("the document", lambda: pipelines(server)["revision"] == 3)
    replace(elsewhere / "part.json", '{"stages": ["decoder", "vad"]}')
    wait("the fragment from elsewhere", lambda: pipelines(server)["revision"] == 4)
    (elsewhere / "part.json").unlink()
    wait("its end", lambda: "lastError" in pipelines(server))


def test_watching_sees_the_repair_of_a_fragment_that_was_never_in_force(serve, tmp_path):
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "part.json").write_text('{"stages": ["dekoder"]}')
    server = serve(echo("one"), arguments=["--watch"])
    replace(tmp_path / "0.json", echo("two").replace(
        '["echo"]', '[{"type": "include", "file": "%s"}, "echo", "encoder"]' % (elsewhere / "part.json")))
    wait("the refusal", lambda: "lastError" in pipelines(server))
    replace(elsewhere / "part.json", '{"stages": ["decoder"]}')
    wait("the repair", lambda: pipelines(server)["revision"] == 2)
    assert description(server) == "two" and "lastError" not in pipelines(server)


def test_watching_follows_a_folder_that_is_a_link(serve, tmp_path):
    common = tmp_path.parent / f"{tmp_path.name}-common"
    common.mkdir()
    (common / "part.json").write_text('{"stages": ["decoder"]}')
    (tmp_path / "shared").symlink_to(common)
    server = serve(echo("one").replace(
        '["echo"]', '[{"type": "include", "file": "shared/part.json"}, "echo", "encoder"]'), arguments=["--watch"])
    replace(common / "part.json", '{"stages": ["decoder", "vad"]}')
    wait("the fragment", lambda: pipelines(server)["revision"] == 2)


def test_watching_a_file_of_this_folder_follows_fragments_with_whole_paths(tmp_path, monkeypatch):
    common = tmp_path / "common"
    folder = tmp_path / "here"
    for each in (common, folder):
        each.mkdir()
    (common / "part.json").write_text('{"stages": ["decoder"]}')
    (folder / "a.json").write_text(echo("one").replace(
        '["echo"]', '[{"type": "include", "file": "%s"}, "echo", "encoder"]' % (common / "part.json")))
    monkeypatch.setattr("conftest.BINARY", os.path.abspath(BINARY))
    monkeypatch.chdir(folder)
    server = Process(["serve", "a.json", "--port", "0", "--drain-timeout", "1", "--watch"])
    try:
        replace(common / "part.json", '{"stages": ["decoder", "vad"]}')
        wait("the fragment", lambda: pipelines(server)["revision"] == 2)
    finally:
        server.stop()


def test_the_command_reloads_and_goes_back(serve, tmp_path):
    server = serve(echo("one"))
    result = reload(server)
    assert result.returncode == 0 and result.stdout.startswith("nothing changed: revision 1 with 1 pipeline"), result
    (tmp_path / "0.json").write_text(echo("two"))
    result = reload(server)
    assert result.returncode == 0 and result.stdout.startswith("loaded: revision 2"), result
    assert "echo" in result.stdout and "0.json" in result.stdout
    (tmp_path / "0.json").write_text(echo("three", stage='{"type": "elevenlabs", "agentId": "a", "apiKey": "sk-live-0123456789"}'))
    result = reload(server)
    assert result.returncode == 78 and "refused" in result.stdout, result
    assert "0.json:1:" in result.stderr and "error[plain-secret]" in result.stderr
    result = reload(server, "--back")
    assert result.returncode == 0 and result.stdout.startswith("back to revision 1: revision 3"), result
    assert description(server) == "one"
    assert "the files still hold revision 2" in result.stdout and pipelines(server)["heldBack"] == 2
    result = reload(server, "--back")
    assert result.returncode == 1 and "no former set" in result.stderr, result
    result = reload(server, "--format", "json")
    assert result.returncode == 78 and json.loads(result.stdout)["result"] == "refused"
    printed = "".join(server.lines) + server.get("/pipelines") + result.stdout
    assert "sk-live" not in printed


def test_a_folder_that_was_emptied_takes_nothing_off_the_air(serve, tmp_path):
    server = serve(echo("one"), arguments=["--watch"])
    (tmp_path / "0.json").rename(tmp_path / "0.away")
    wait("the refusal", lambda: "lastError" in pipelines(server))
    result = reload(server)
    assert result.returncode == 78 and "no pipeline is left; those in force stay" in result.stderr, result
    assert description(server) == "one" and pipelines(server)["revision"] == 1


def test_what_was_left_by_going_back_stays_left_until_a_file_changes(serve, tmp_path):
    server = serve(echo("one"), arguments=["--watch"])
    replace(tmp_path / "0.json", echo("two"))
    wait("the change", lambda: pipelines(server)["revision"] == 2)
    assert reload(server, "--back").returncode == 0
    os.utime(tmp_path / "0.json")
    wait("the look", lambda: any("what the rollback left" in line for line in server.lines))
    server.process.send_signal(signal.SIGHUP)
    wait("the signal", lambda: sum("what the rollback left" in line for line in server.lines) == 2)
    assert description(server) == "one" and pipelines(server)["heldBack"] == 2
    replace(tmp_path / "0.json", echo("three"))
    wait("the next change", lambda: description(server) == "three")
    assert "heldBack" not in pipelines(server)


def test_watching_sees_a_missing_fragment_appear(serve, tmp_path):
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    server = serve(echo("one"), arguments=["--watch"])
    replace(tmp_path / "0.json", echo("two").replace(
        '["echo"]', '[{"type": "include", "file": "%s"}, "echo", "encoder"]' % (elsewhere / "part.json")))
    wait("the refusal", lambda: "lastError" in pipelines(server))
    replace(elsewhere / "part.json", '{"stages": ["decoder"]}')
    wait("the fragment", lambda: pipelines(server)["revision"] == 2)
    assert description(server) == "two" and "lastError" not in pipelines(server)


def test_a_file_brings_the_pipelines_that_its_rules_lead_to(tmp_path):
    (tmp_path / "desk.json").write_text(
        '{"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"], '
        '"when": [{"callers": ["+1555*"], "pipeline": "vip"}]}')
    (tmp_path / "vip.json").write_text(
        '{"name": "vip", "transport": "twilio", "stages": ["decoder", "echo", "encoder"]}')
    (tmp_path / "broken.json").write_text("{")
    file = str(tmp_path / "desk.json")
    sound = tmp_path / "in.wav"
    with wave.open(str(sound), "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(3200))
    for command in (["lint", file], ["graph", file], ["run", file, "--input", str(sound), "--from", "+15550100002"]):
        result = subprocess.run([BINARY, *command], capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, (command, result)
    server = Process(["serve", file, "--port", "0", "--drain-timeout", "1"])
    try:
        assert [pipeline["name"] for pipeline in pipelines(server)["pipelines"]] == ["desk", "vip"]
    finally:
        server.stop()


def test_the_command_says_what_is_in_its_way(serve, tmp_path):
    server = serve(echo("one"), environment={"PATCHBAY_ADMIN_TOKEN": "letmein-0123456789"})
    assert reload(server, "--path", "/nowhere").returncode == 1
    assert "there is nothing at /nowhere/reload" in reload(server, "--path", "/nowhere").stderr
    nobody = subprocess.run(
        [BINARY, "reload", "--server", "http://127.0.0.1:9"], capture_output=True, text=True, timeout=30)
    assert nobody.returncode == 1 and "could not be asked" in nobody.stderr
    assert subprocess.run([BINARY, "reload", "--server", "127.0.0.1"], capture_output=True, timeout=30).returncode == 64
    for command in (["reload"], ["lint"], ["call", "--to", "+15550100002"]):
        result = subprocess.run(
            [BINARY, *command, "--env-file", "/nowhere/settings"], capture_output=True, text=True, timeout=30)
        assert result.returncode == 64 and "/nowhere/settings" in result.stderr, (command, result)
    # As a proxy would ask for somebody else.
    for token, status in ((None, 401), ("wrong", 401), ("letmein-0123456789", 200)):
        headers = {"X-Forwarded-For": "203.0.113.9"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(server.url + "/pipelines/reload", b"", headers)
        try:
            assert urllib.request.urlopen(request, timeout=10).status == status
        except urllib.error.HTTPError as refusal:
            assert refusal.code == status
    assert "letmein" not in "".join(server.lines)


def test_what_an_env_file_says_is_read_again_too(serve, tmp_path):
    settings = tmp_path / "settings.env"
    settings.write_text("OTHER=1\n")
    server = serve(echo("one"), arguments=["--env-file", str(settings)])
    (tmp_path / "0.json").write_text(echo("two", stage='{"type": "script", "say": "${env.GREETING}"}'))
    assert reload(server).returncode == 78
    settings.write_text("GREETING=Hello\n")
    assert reload(server).returncode == 0
    assert description(server) == "two"


def test_a_rule_speaks_without_a_stream(serve):
    server = serve(
        '{"name": "desk", "numbers": ["*"], "transport": "twilio", "stages": ["echo"], '
        '"when": [{"callers": ["+1555*"], "say": "We are closed."}]}')
    answer = webhook(server, "+15550100001", "CA" + "3" * 32)
    assert "<Response><Say>We are closed.</Say><Hangup /></Response>" in answer
    wait("the log", lambda: any("a rule answers" in line for line in server.lines))
    assert post(server, "/pipelines/reload")["result"] == "unchanged"
