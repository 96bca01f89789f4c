"""`patchbay test` from outside: files, exit codes, and tests that are made of a call over real sockets."""

import json
import subprocess

import pytest
from conftest import BINARY, Process

DESK = """{{"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": [
  "decoder", {{"type": "resampler", "rateHz": 16000}},
  {{"type": "elevenlabs", "agentId": "desk", "apiKey": {{"env": "DESK_API_KEY"}}}},
  {{"type": "resampler", "rateHz": 8000}}{more}, "encoder"]}}"""


def patchbay(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def simulator():
    running = Process(["simulate", "elevenlabs", "--port", "0", "--api-key", "planted-api-key",
                       "--greeting", "Hello.", "--reply", "Twelve pounds."])
    yield running
    running.stop()


def test_the_shipped_tests_pass():
    result = patchbay("test", "Pipelines")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 failed" in result.stdout


def test_exit_codes(tmp_path):
    (tmp_path / "echo.json").write_text(
        '{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}')
    test = tmp_path / "echo.test.json"
    test.write_text('{"tests": [{"name": "fails", "expect": [{"agent": "speaks"}]}]}')
    failed = patchbay("test", test)
    assert failed.returncode == 1 and "expect 1" in failed.stdout and "\x1b" not in failed.stdout
    report = json.loads(patchbay("test", tmp_path, "--format", "json").stdout)
    assert [(test["name"], test["passed"]) for test in report] == [("fails", False)]
    test.write_text('{"tests": [{"name": "wrong", "expect": [{"agent": "sings"}]}]}')
    wrong = patchbay("test", test)
    assert wrong.returncode == 78 and "echo.test.json:1:51: error[not-allowed]" in wrong.stderr
    assert patchbay("test", "--output", "x.test.json").returncode == 64
    assert patchbay("test", tmp_path / "nowhere").returncode == 78
    (tmp_path / "empty").mkdir()
    assert patchbay("test", tmp_path / "empty").returncode == 1
    assert patchbay("test", tmp_path, "--filter", "nosuch").returncode == 78
    test.write_text('{"tests": [{"name": "fine", "expect": [{"backend": "echo"}]}]}')
    assert patchbay("test", test).returncode == 0
    assert patchbay("test", test, "--filter", "nosuch").returncode == 1


def test_findings_of_a_folder_are_told_once(tmp_path):
    (tmp_path / "echo.json").write_text(
        '{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo", "nosuch"]}')
    for name in ["echo", "other"]:
        (tmp_path / f"{name}.test.json").write_text(
            '{"pipeline": "echo.json", "tests": [{"name": "one", "expect": [{"backend": "echo"}]}]}')
    found = patchbay("test", tmp_path)
    assert found.returncode == 78 and found.stderr.count("error[unknown-type]") == 1, found.stderr


def test_a_real_call_becomes_a_test(simulator, serve, tmp_path):
    logs = tmp_path / "logs"
    server = serve(DESK.format(more=""), arguments=["--wire-log", str(logs)], environment={
        "ELEVENLABS_BASE_URL": simulator.url, "DESK_API_KEY": "planted-api-key"})
    call = subprocess.run(
        [BINARY, "call", "--server", server.url, "--to", "+15550100001", "--limit", "8",
         "--audio", "Pipelines/audio/caller-thanks.wav"],
        capture_output=True, text=True, timeout=60, env={"TWILIO_AUTH_TOKEN": "interop-auth-token"})
    assert call.returncode == 0, call.stderr
    assert server.stop() == 0
    [log] = logs.iterdir()
    assert log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    for planted in ["planted-api-key", "interop-auth-token"]:
        assert planted not in text
    assert '"token":"[secret]"' in text

    recorded = patchbay("test", "--record", log, "--output", tmp_path / "recorded.test.json")
    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    again = patchbay("test", tmp_path)
    assert again.returncode == 0 and "✓ goes as the recorded call did" in again.stdout

    # Nothing that somebody may have worked on is replaced unasked.
    written = sorted(tmp_path.glob("recorded.*"))
    assert len(written) == 3
    for kept in written:
        for file in written:
            file.unlink(missing_ok=True)
        kept.write_text("by hand")
        refused = patchbay("test", "--record", log, "--output", tmp_path / "recorded.test.json")
        assert refused.returncode == 1 and "--force" in refused.stderr and kept.read_text() == "by hand"
        assert sorted(tmp_path.glob("recorded.*")) == [kept]
    forced = patchbay("test", "--record", log, "--output", tmp_path / "recorded.test.json", "--force")
    assert forced.returncode == 0, forced.stdout + forced.stderr

    # The pipeline is another now: nobody hears the agent any more.
    (tmp_path / "0.json").write_text(DESK.format(more=', {"type": "gain", "gainDb": -50}'))
    changed = patchbay("test", tmp_path)
    assert changed.returncode == 1
    assert "seen: never in the call" in changed.stdout and "expect 2" in changed.stdout
