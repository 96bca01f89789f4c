"""What the commands say of pipelines: documents to start from, drawings, dry runs, pages."""

import json
import subprocess
import wave
import xml.etree.ElementTree

import pytest

from conftest import BINARY


def run(*arguments, folder=None):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=folder)


@pytest.fixture(autouse=True)
def absolute(monkeypatch):
    import os
    monkeypatch.setattr("test_describe.BINARY", os.path.abspath(BINARY))


def test_what_is_created_lints_clean_and_is_tested(tmp_path):
    pipeline, test = tmp_path / "desk.json", tmp_path / "desk.test.json"
    assert run("create", "--output", pipeline).returncode == 0
    assert json.loads(pipeline.read_text())["name"] == "desk"
    assert run("lint", pipeline).returncode == 0
    assert run("create", "test", "--output", test).returncode == 0
    result = run("test", test)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_file_is_overwritten_only_when_told(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("mine")
    result = run("create", "echo", "--output", path)
    assert result.returncode == 1 and "--force" in result.stderr
    assert path.read_text() == "mine"
    assert run("create", "echo", "--output", path, "--force").returncode == 0
    assert json.loads(path.read_text())["name"] == "x"


def test_a_sound_that_is_needed_is_provided(tmp_path):
    path = tmp_path / "x.json"
    result = run("create", "twilio/vad/script/mixer", "--output", path)
    assert result.returncode == 0 and (tmp_path / "audio" / "office.wav").stat().st_size == 32044, result.stderr
    assert run("lint", path).returncode == 0


@pytest.mark.parametrize("arguments, words", [
    (["create", "ivrr"], 'did you mean "ivr"?'),
    (["create", "twilio/vda/echo"], 'did you mean "vad"?'),
    (["create", "twilio/vad"], "there is no agent"),
    (["create", "--number", "0800"], "--number"),
    (["create", "--output", "/nowhere/x.json"], 'no folder "/nowhere"'),
    (["describe", "resmapler"], 'did you mean "resampler"?'),
    (["schema", "--for", "nothing"], "--for"),
    (["route", "+15550100002", "--at", "yesterday"], "2026-12-24T18:00"),
    (["graph", "--format", "png"], "--format"),
    (["create", "--name", "bad name!"], "1 to 64 letters"),
    (["create", "echo", "--output", "b.test.json"], "no name for a pipeline"),
    (["create", "echo", "--output", "x.fragment.json"], "no name for a pipeline"),
    (["create", "echo", "--output", "server.json"], "no name for a pipeline"),
    (["create", "echo", "--output", ".json"], "ends in .json"),
    (["create", "test", "--output", "b.json"], "ends in .test.json"),
])
def test_what_is_unknown_is_a_usage_error(arguments, words):
    result = run(*arguments)
    assert result.returncode == 64, result.stderr
    assert words in result.stderr


@pytest.mark.parametrize("what", ["Pipelines/demo.json", "Pipelines", "+15550100002"])
def test_drawings_can_be_read(what):
    svg = run("graph", what, "--format", "svg")
    root = xml.etree.ElementTree.fromstring(svg.stdout)
    names = {element.tag.split("}")[1] for element in root.iter()}
    assert {"title", "desc", "style", "text"} <= names and not names & {"script", "image", "use", "foreignObject"}
    assert json.loads(run("graph", what, "--format", "json").stdout)
    assert run("graph", what, "--format", "mermaid").stdout.startswith("flowchart LR\n")
    text = run("graph", what).stdout
    assert "demo" in text and "\x1b" not in text


def test_a_dry_run_has_the_settled_keys():
    result = run("route", "+15550100002", "--format", "json", "--from", "+4930123", "--at", "2026-12-24T18:00")
    report = json.loads(result.stdout)
    assert report["number"] == "+15550100002" and report["pipeline"] == "demo" and report["file"] == "Pipelines/demo.json"
    assert [stage["type"] for stage in report["stages"]] == [
        "twilio", "decoder", "resampler", "vad", "agent", "resampler", "encoder", "twilio"]
    for stage in report["stages"]:
        assert {"type", "takes", "gives", "delayMs", "inserted"} <= stage.keys()
    assert report["latencyMs"] == pytest.approx(sum(stage["delayMs"] for stage in report["stages"]), abs=0.002)
    assert run("route", "+19999999999").returncode == 1


def test_rules_decide_about_a_dry_run(tmp_path):
    assert run("create", "after-hours", "--output", tmp_path / "desk.json", "--number", "+49301234567").returncode == 0
    route = ["route", "+49301234567", "--pipelines", tmp_path, "--format", "json"]
    closed = json.loads(run(*route, "--at", "2026-12-25T10:00+01:00").stdout)
    assert closed["say"].startswith("We are closed") and "stages" not in closed
    hidden = json.loads(run(*route, "--from", "anonymous").stdout)
    assert hidden["say"].startswith("Please call again")
    opened = json.loads(run(*route, "--at", "2026-12-21T10:00+01:00").stdout)
    assert opened["stages"] and len(opened["rules"]) == 2


def test_a_dry_run_does_without_the_environment(tmp_path):
    (tmp_path / "a.json").write_text(
        '{"name": "a", "numbers": ["+15550100001"], "transport": "twilio", "stages": '
        '[{"type": "elevenlabs", "agentId": "x", "apiKey": {"env": "NO_SUCH_KEY"}}]}')
    result = run("route", "+15550100001", "--pipelines", tmp_path)
    assert result.returncode == 0 and "elevenlabs" in result.stdout, result


def test_a_run_asks_the_rules(tmp_path):
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    (tmp_path / "c.json").write_text(
        '{"name": "c", "numbers": ["+4930*"], "transport": "twilio", "stages": ["echo"], "when": ['
        '{"callers": ["+1666*"], "say": "No."}, '
        '{"outside": {"timeZone": "UTC", "wednesday": ["09:00-17:00"]}, "say": "Closed."}]}')
    command = ["run", tmp_path / "c.json", "--input", tmp_path / "in.wav"]
    for more in (["--at", "2026-12-23T20:00+00:00"], ["--number", "+493012345", "--at", "2026-12-23T20:00+00:00"]):
        result = run(*command, *more)
        assert result.returncode == 0 and "Closed." in result.stdout and "c when[1] holds" in result.stderr, result
    result = run(*command, "--from", "+16661234567", "--format", "json")
    assert json.loads(result.stdout) == {"said": "No."}
    result = run(*command, "--at", "2026-12-23T10:00+00:00")
    assert result.returncode == 0 and "Closed." not in result.stdout, result
    (tmp_path / "c.json").write_text((tmp_path / "c.json").read_text().replace('"numbers": ["+4930*"], ', ""))
    assert "its rules are not asked" in run(*command).stderr


def test_pages_and_lists_are_json_too():
    names = [entry["type"] for entry in json.loads(run("list", "--format", "json").stdout)]
    assert {"twilio", "vad", "echo", "agent", "tee", "switch", "include"} <= set(names)
    for name in names + ["pipeline", "when", "fragment", "server", "test"]:
        assert json.loads(run("describe", name, "--format", "json").stdout)["fields"] is not None
        assert all(len(line) <= 100 for line in run("describe", name).stdout.splitlines() if " " in line.strip())
