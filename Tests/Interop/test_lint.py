"""`patchbay lint` on everything that stands in a project."""

import json
import os
import subprocess

import pytest

from conftest import BINARY

PIPELINE = '{ "name": "salon", "numbers": ["+15551234567"], "transport": "twilio", "stages": [%s] }\n'


def lint(folder, *arguments):
    command = [os.path.abspath(BINARY), "lint", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)


def test_folders_within_a_folder_are_named(tmp_path):
    write(tmp_path, salon__json=PIPELINE % '"echo"')
    for name, file in [("clinic", "a.json"), ("audio", "a.wav")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{")
    result = lint(tmp_path, ".")
    assert result.returncode == 0 and "not looked into: clinic; name a folder to check it" in result.stderr
    both = lint(tmp_path, ".", "clinic")
    assert both.returncode == 78 and "not looked into" not in both.stderr


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def project(tmp_path):
    write(tmp_path, salon__json=PIPELINE % '{ "type": "include", "file": "listening.fragment.json" }, "echo"',
          listening__fragment__json='{ "stages": ["decoder", "vad"] }\n',
          salon__test__json='{ "tests": [{ "name": "rings", "expect": [] }] }\n',
          server__json='{ "limits": { "maximumCalls": 5 } }\n',
          README__md="# Salon\n\n```json\n" + PIPELINE % '"echo"' + "```\n")
    return tmp_path


def test_every_kind_is_checked_as_what_it_is(project):
    write(project, listening__fragment__json='{ "stages": ["vadd"] }\n', salon__test__json='{ "tests": 5 }\n',
          server__json='{ "limits": { "maximumCalls": 0 } }\n', README__md="```json\n" + PIPELINE % '"ecko"' + "```\n")
    result = lint(project, ".", "--format", "json")
    assert result.returncode == 78
    found = [(entry["file"], entry["line"], entry["code"]) for entry in json.loads(result.stdout)]
    assert found == [("README.md", 2, "unknown-type"), ("listening.fragment.json", 1, "unknown-type"),
                     ("salon.test.json", 1, "wrong-type"), ("server.json", 1, "out-of-range")]
    for name in ["README.md", "listening.fragment.json", "salon.test.json", "server.json"]:
        assert lint(project, name).stdout.endswith("1 file, 1 error\n")


def test_the_summary_counts_files(project):
    result = lint(project, "salon.json", "listening.fragment.json", "server.json", "README.md")
    assert (result.returncode, result.stdout) == (0, "4 files, no errors\n")


def test_warnings_can_be_errors(project):
    tones = '{ "type": "dtmf", "mode": "generate", "mute": true }'
    write(project, salon__json=PIPELINE % f'"echo", "decoder", {tones}, "encoder"')
    assert lint(project, "salon.json").returncode == 0
    strict = lint(project, "salon.json", "--warnings-as-errors")
    assert strict.returncode == 78 and "warning" in strict.stdout


def test_annotations_are_one_line_each(project):
    write(project, salon__json=PIPELINE % '"ecko"')
    result = lint(project, "salon.json", "--format", "github")
    assert result.stdout.startswith("::error file=salon.json,line=1,col=") and result.stdout.count("\n") == 1


def test_no_credential_is_repeated(project):
    secret = "sk-" + "live-9f8e7d6c5b4a3f2e"
    for name in ["salon.json", "listening.fragment.json", "salon.test.json", "server.json", "README.md"]:
        documents = [json.dumps({secret: secret}), json.dumps({"stages": [secret]}), f"{{'{secret}",
                     f"```json\n[\"{secret}\" 1]\n```"]
        for text in documents:
            (project / name).write_text(text)
            for form in ["text", "json", "github"]:
                result = lint(project, name, "--format", form)
                assert secret[6:] not in result.stdout + result.stderr, (name, text)
