"""The Silero detector gives what its authors' network gives: figures of ONNX Runtime over a signal that anyone can make."""

import json
import os
import struct
import subprocess
import sys
import wave

import pytest

from conftest import BINARY

# silero_vad.onnx of version 6.2, ONNX Runtime, zero state: window to probability.
GOLDEN = {
    8000: {0: 0.053444, 1: 0.034864, 2: 0.020932, 3: 0.012189, 30: 0.012778, 31: 0.032517, 32: 0.018750, 33: 0.020150,
           34: 0.033202, 40: 0.026818, 60: 0.005445, 70: 0.001211},
    16000: {0: 0.143427, 1: 0.077076, 2: 0.037679, 3: 0.030872, 14: 0.003972, 15: 0.011383, 16: 0.026075, 17: 0.033768,
            18: 0.025066, 20: 0.043466, 30: 0.011558, 40: 0.003731},
}

PIPELINE = """{
  "name": "silero",
  "numbers": ["+15550100001"],
  "transport": "twilio",
  "stages": ["decoder", { "type": "vad", "engine": "silero" }, { "type": "echo" }, "encoder"]
}
"""


def buzz_in_noise():
    """Noise of a linear congruential generator with a buzz in its middle second."""
    state, samples = 1, []
    for index in range(24000):
        state = (1103515245 * state + 12345) & 0x7FFFFFFF
        value = (((state >> 16) & 0x7FFF) - 16384) >> 7
        if 8000 <= index < 16000:
            value += (3000 if index % 67 < 34 else -3000) + (1200 if index % 11 < 6 else -1200)
        samples.append(value)
    assert samples[:4] == [3, -84, -49, 8] and sum(samples) == 1182644
    return samples


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(cache, *arguments):
    # The pip of this environment, whatever else is installed.
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    return subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True,
        env={**os.environ, "PATH": path, "XDG_CACHE_HOME": str(cache)})


@pytest.fixture(scope="module")
def model(cache):
    result = run(cache, "model", "silero")
    # Only this: a version that is gone or a file with another hash is a failure.
    if "the package index cannot be reached" in result.stderr:
        pytest.skip(result.stderr.strip())
    assert result.returncode == 0, result.stderr
    path = cache / "patchbay" / "silero_vad.onnx"
    assert result.stdout.startswith(str(path))
    return path


def test_without_the_model_lint_names_the_command(tmp_path):
    document = tmp_path / "silero.json"
    document.write_text(PIPELINE)
    result = run(tmp_path, "lint", str(document))
    assert result.returncode == 78
    assert "patchbay model silero" in result.stdout


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path):
    wheel = tmp_path / "silero_vad.whl"
    wheel.write_bytes(b"PK\3\4")
    result = run(tmp_path, "model", "silero", "--wheel", str(wheel))
    assert result.returncode == 1
    assert "SHA-256" in result.stderr and not (tmp_path / "patchbay").exists()


def test_the_model_is_fetched_once(cache, model):
    before = model.stat().st_mtime_ns
    assert "already" in run(cache, "model", "silero").stdout
    assert model.stat().st_mtime_ns == before


def test_with_the_model_lint_is_content(cache, model, tmp_path):
    document = tmp_path / "silero.json"
    document.write_text(PIPELINE)
    result = run(cache, "lint", str(document))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("rate, count", [(8000, 93), (16000, 46)])
def test_scores_agree_with_onnx_runtime(cache, model, tmp_path, rate, count):
    path = tmp_path / "buzz.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack("<24000h", *buzz_in_noise()))
    result = run(cache, "vad", str(path), "--engine", "silero", "--scores", "--format", "json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert len(report["scores"]) == count and report["segments"] == []
    for window, expected in GOLDEN[rate].items():
        assert report["scores"][window] == pytest.approx(expected, abs=1e-4), f"window {window}"
