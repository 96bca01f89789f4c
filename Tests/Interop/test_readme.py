"""What the README shows is what happens."""

import pathlib
import re
import subprocess

from conftest import BINARY

README = pathlib.Path("README.md").read_text()


def lint(path, *options):
    return subprocess.run([BINARY, "lint", str(path), *options], capture_output=True, text=True)


def test_every_document_in_the_readme_is_without_errors():
    result = lint("README.md", "--no-environment", "--warnings-as-errors")
    assert result.returncode == 0, result.stdout
    assert result.stdout == "1 file, no errors\n"


def test_the_first_document_is_the_shipped_one():
    document = re.search(r"```json\n(.*?)```", README, re.S).group(1)
    assert document == pathlib.Path("Pipelines/echo.json").read_text()


def test_the_mistake_in_the_readme_is_reported_as_shown(tmp_path):
    path = tmp_path / "salon.json"
    path.write_text(
        '{\n  "name": "salon",\n  "numbers": ["+15551234567"],\n  "transport": "twilio",\n'
        '  "stages": ["decodr", { "type": "echo" }]\n}\n')
    result = lint(path)
    assert result.returncode == 78
    shown = re.search(r"```\n(Pipelines/salon.json:.*?)```", README, re.S).group(1)
    assert result.stdout.replace(str(tmp_path), "Pipelines").startswith(shown)


def test_every_command_in_the_readme_has_help_with_examples():
    for command in ["demo", "serve", "call", "simulate elevenlabs", "lint", "route", "list", "describe", "run", "bench",
                    "bench pipeline", "vad", "model silero"]:
        result = subprocess.run([BINARY, *command.split(), "--help"], capture_output=True, text=True)
        assert result.returncode == 0 and "EXAMPLES" in result.stdout and f"patchbay {command}" in result.stdout


def test_the_stage_in_the_readme_is_the_one_that_is_tested():
    stage = re.search(r"(struct Gain: Processor \{.*?\n\}\n)```", README, re.S).group(1)
    assert stage in pathlib.Path("Tests/PatchbayProcessorsTests/ReadmeStageTests.swift").read_text()
