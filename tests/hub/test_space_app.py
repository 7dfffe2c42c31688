"""The page as a server on loopback: two users at once, limits, and no file that stays."""

import os
import socket
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.few_activities import FEW_ACTIVITIES
from support.forked import forked

from anymo_hf.hub.space_answer import FIELDS
from anymo_hf.systems import known_motions

ROOT = Path(__file__).parents[2]
WALK = ROOT / "tests" / "data" / "walk_left_wrist.csv"
POCKET = ROOT / "tests" / "data" / "walk_left_pocket.csv"

# looked for, not imported: every process of the tests would wait for it
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio: pip install 'anymo-hf[space]'"),
]


@pytest.fixture(scope="module")
def page(tiny_release):
    """The running page with a tiny model and few known motions, each of which takes time to simulate."""
    from anymo_hf.hub import space_app

    with pytest.MonkeyPatch.context() as patch:  # files wait to be deleted, and a test for that
        patch.setattr(known_motions, "ACTIVITIES", FEW_ACTIVITIES)
        patch.setattr(space_app, "KEPT_SECONDS", 6)
        patch.setattr(space_app, "SWEEP_SECONDS", 0.5)
        running = space_app.serve(str(tiny_release), wait=False)
        yield running
    running.close()
    folder = Path(running.temporary_folder.name)
    running.temporary_folder.cleanup()
    assert not folder.exists()


def test_a_port_that_is_taken_is_said_in_our_words(page, tiny_release, monkeypatch):
    from anymo_hf.hub import space_app

    monkeypatch.setenv("GRADIO_TEMP_DIR", os.environ["GRADIO_TEMP_DIR"])  # the running page's, which comes back
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} is taken; give another"):
            space_app.serve(str(tiny_release), port=port, wait=False)


def sent_files(page):
    return [path for path in Path(page.temporary_folder.name).rglob("*") if path.is_file()]


EMPTY = ("", "", "", "", None, "", "", "")  # fields behind the rate


def ask(page, file, place, labels, rate=104, fields=EMPTY):
    """What a user of a session of their own gets: the three parts of the answer."""
    from gradio_client import Client, handle_file

    client = Client(page.local_url, verbose=False)
    try:
        client.predict(handle_file(str(file)), api_name="/take")
        return client.predict(place, labels, False, rate, *fields, api_name="/answer")
    finally:
        client.close()


def test_users_at_once_get_their_own_answers_and_no_file_stays(page):
    asked = [(WALK, "left_wrist", "walking, sitting"), (POCKET, "left_pocket", "lying, running, eating")] * 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: ask(page, *one), asked))
    for (file, _, labels), (report, timeline, nearest) in zip(asked, answers, strict=True):
        assert file.name in report and "Hz" in report and "anymo-scores" in nearest
        for label in labels.split(", "):
            assert f"<span>{label}</span>" in timeline
        assert ("eating" in timeline) == ("eating" in labels)
    assert answers[0] == answers[2] and answers[1] == answers[3]
    until = time.monotonic() + 40
    while sent_files(page) and time.monotonic() < until:
        time.sleep(0.2)
    assert not sent_files(page)


def test_old_files_go_and_new_ones_stay(tmp_path):
    from anymo_hf.hub.space_app import delete_old_files

    (tmp_path / "hash").mkdir()
    (tmp_path / "hash" / "old.csv").write_text("1")
    time.sleep(0.3)
    (tmp_path / "new.csv").write_text("1")
    delete_old_files(tmp_path, 0.2)
    delete_old_files(tmp_path, 0.2)  # the folder has changed just now, so it may take another turn
    assert not (tmp_path / "hash" / "old.csv").exists() and (tmp_path / "new.csv").exists()


def test_a_bad_file_and_none_at_all_are_said_on_the_page(page, tmp_path):
    from gradio_client import Client

    bad = tmp_path / "notes.csv"
    bad.write_text("hello\nworld\n")
    report, timeline, nearest = ask(page, bad, "left_wrist", "")
    assert "notes.csv: no row of three numbers" in report and not timeline and not nearest
    assert page.temporary_folder.name not in report
    client = Client(page.local_url, verbose=False)
    assert "Give a file" in client.predict("left_wrist", "", False, None, *EMPTY, api_name="/answer")[0]
    client.close()


def test_the_fields_are_named_and_read_as_by_recognize(page, tmp_path):
    from gradio_client import Client

    client = Client(page.local_url, verbose=False)
    names = [
        one["parameter_name"]
        for one in client.view_api(return_format="dict")["named_endpoints"]["/answer"]["parameters"]
    ]
    client.close()
    assert names[-9:] == ["rate", *(name for name in FIELDS if name != "rate")]
    rows = [line.split(",")[:6] for line in WALK.read_text().splitlines()[1:]]
    other = tmp_path / "other.csv"
    other.write_text("left;right\n" + "\n".join(";".join(row).replace(".", ",") for row in rows))
    said = ("", "", "1,2,3,4,5,6", "", 0, "semicolon", ",", "")
    report, timeline, _ = ask(page, other, "left_wrist", "walking", fields=said)
    assert "104 Hz" in report and "<span>walking</span>" in timeline
    report, *_ = ask(page, other, "left_wrist", "walking", fields=("", "", "", "", 999, "", "", ""))
    assert "“Line of the column names”" in report and "999" in report


def test_a_file_over_the_limit_is_not_taken(page, tmp_path):
    large = tmp_path / "large.csv"
    large.write_bytes(b"0,0,9.81\n" * (11 * 2**20 // 9))
    with pytest.raises(Exception, match="(?i)size|413|large"):
        ask(page, large, "left_wrist", "")
    assert not [path for path in sent_files(page) if path.name == "large.csv"]


def test_it_listens_on_loopback_alone_and_asks_nothing_of_the_network(page):
    host, port = page.server_name, page.server_port
    assert host == "127.0.0.1"
    other = socket.gethostbyname(socket.gethostname())
    if not other.startswith("127."):
        with pytest.raises(OSError):
            socket.create_connection((other, port), timeout=2).close()
    with urllib.request.urlopen(page.local_url, timeout=10) as answer:
        text = answer.read().decode()
    assert not [word for word in ("googletagmanager", "analytics.js", "huggingface.co/api/telemetry") if word in text]
    assert page.analytics_enabled is False


def test_the_space_names_the_versions_that_the_tests_have():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    lines = (ROOT / "hub_cards" / "space" / "requirements.txt").read_text().splitlines()
    for line in lines[2:-1]:
        name, version = line.split("==")
        assert pinned[name] == version, line
    header = (ROOT / "hub_cards" / "space" / "README.md").read_text().split("---")[1]
    import yaml

    fields = yaml.safe_load(header)
    assert fields["sdk"] == "gradio" and str(fields["sdk_version"]) == pinned["gradio"]
    assert (ROOT / "hub_cards" / "space" / fields["app_file"]).is_file()
    copy = ROOT / "hub_cards" / "space" / "examples" / WALK.name
    assert copy.read_bytes() == WALK.read_bytes()


def start_server(model):
    from gradio import Blocks

    from anymo_hf.hub.space_app import serve

    wait = Blocks.block_thread

    def say_and_wait(page):
        print("waits for the end", flush=True)
        wait(page)

    Blocks.block_thread = say_and_wait  # in this process alone
    tempfile.tempdir = None  # asked for again: the variable is this process's own
    serve(model)


def test_a_server_that_is_told_to_end_takes_its_folder_along(tiny_release, tmp_path):
    said = tmp_path / "said"
    server = forked(start_server, str(tiny_release), out=said, TMPDIR=str(tmp_path))
    try:
        until = time.monotonic() + 120
        while "waits for the end" not in (said.read_text() if said.exists() else ""):
            assert server.is_alive() and time.monotonic() < until, "the server ended before it ran"
            time.sleep(0.1)
        assert list(tmp_path.glob("anymo-space-*"))
        assert "Running on local URL" in said.read_text()
        time.sleep(0.3)  # it says so a little before it listens for the end
        server.terminate()
        server.join(90)
    finally:
        server.kill()
    assert not list(tmp_path.glob("anymo-space-*"))
