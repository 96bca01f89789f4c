"""What commands refuse, they refuse before they work, with the option and what it takes."""

import struct
import subprocess
import wave

import pytest

from conftest import BINARY


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<8000h", *([0] * 8000)))
    return path


RUN = ["run", "nothing.json", "--input", "nothing.wav"]
VAD = ["vad", "nothing.wav"]


@pytest.mark.parametrize("arguments, words", [
    (RUN + ["--wait", "9223372036854775807"], "0 to 3600000 milliseconds"),
    (RUN + ["--wait", "3600001"], "0 to 3600000 milliseconds"),
    (RUN + ["--patience", "9223372036854775807"], "1 to 3600 seconds"),
    (RUN + ["--limit", "9223372036854775807"], "1 to 86400 seconds"),
    (RUN + ["--limit", "0"], "1 to 86400 seconds"),
    (RUN + ["--output", "/nowhere/x.wav"], 'no folder "/nowhere"'),
    (RUN + ["--output", "x.mp3"], ".wav, .opus or .ogg"),
    (["bench", "--tolerance", "inf"], "0 to 10000 per cent"),
    (["bench", "--tolerance", "nan"], "0 to 10000 per cent"),
    (["bench", "--svg", "/nowhere/x.svg"], 'no folder "/nowhere"'),
    (VAD + ["--minimum-level=-40", "--engine", "silero"], "--minimum-level belongs to --engine energy"),
    (VAD + ["--mode", "2"], "--mode belongs to --engine webrtc"),
    (VAD + ["--model", "m.onnx", "--engine", "webrtc"], "--model belongs to --engine silero"),
    (VAD + ["--threshold", "0.5", "--engine", "webrtc"], "--threshold belongs to --engine energy and silero"),
    (VAD + ["--threshold", "5", "--engine", "silero"], "0.01 to 0.99"),
    (VAD + ["--threshold", "nan"], "3.0 to 30.0"),
    (VAD + ["--engine", "silero", "--exit-threshold", "0.6"], "0.01 to the threshold, which is 0.5"),
    (VAD + ["--minimum-level", "nan"], "-90 to -10 dBFS"),
    (VAD + ["--engine", "webrtc", "--mode", "4"], "0 to 3"),
])
def test_values_that_make_no_sense_are_usage_errors(arguments, words):
    result = run(*arguments)
    assert result.returncode == 64, result.stderr
    assert words in result.stderr


def test_silence_is_no_speech(sound):
    result = run("vad", str(sound))
    assert result.returncode == 0, result.stderr
    assert "speech in 0 stretches" in result.stdout


def test_another_version_of_the_table_is_named(tmp_path):
    before = tmp_path / "before.json"
    before.write_text('{"version": 1, "rows": []}')
    result = run("bench", "--compare", str(before))
    assert result.returncode != 0
    assert "an older patchbay" in result.stderr
