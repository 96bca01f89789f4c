"""The teams' own backend: `Examples/FrontDesk`, as a process with its data in a folder."""

import datetime
import json
import os
import pathlib
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager

from conftest import Process

PRODUCTS = pathlib.Path(os.environ.get("EXAMPLE_PRODUCTS", ".build/debug")).resolve()
BINARY = str(PRODUCTS / "frontdesk")
TOKEN = "the-backends-own-token"


class Desk:
    """A running front desk, and a look into its database."""

    def __init__(self, process, folder):
        self.process, self.folder = process, folder

    @property
    def url(self):
        return self.process.url

    def rows(self, sql, *values):
        with sqlite3.connect(f"file:{self.folder}/front-desk.sqlite?mode=ro", uri=True) as database:
            return database.execute(sql, values).fetchall()

    def ask(self, method, path, body=None, headers=None):
        """Status and JSON of an answer."""
        headers = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@contextmanager
def front_desk(folder, *arguments, environment=None):
    """`frontdesk backend`, or with arguments `frontdesk serve …`, on invented data."""
    subprocess.run([BINARY, "seed", "--data", str(folder)], check=True, timeout=60, stdout=subprocess.DEVNULL)
    process = Process(
        [*(arguments or ["backend"]), "--port", "0", "--data", str(folder)],
        {"BACKEND_TOKEN": TOKEN, **(environment or {})}, binary=BINARY)
    try:
        yield Desk(process, folder)
    finally:
        process.stop()


def next_monday(weeks=1):
    """A Monday at least a week ahead, on which nothing is over yet anywhere."""
    today = datetime.date.today()
    return today + datetime.timedelta(days=7 * weeks + (7 - today.weekday()))
