"""A child has no credentials of the function, in environment or memory, and none of its files and sockets."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDHk" * 30
# It finds the secrets by patterns that do not hold them: what looks for them must not be what is found.
SCRIPT = r"""
import ctypes, json, os, re, socket, sys, tempfile
from weaudit.aws import credentials
from weaudit.aws.client import S3
from weaudit.aws.connections import Connection
from weaudit.aws.sigv4 import sign
from weaudit.images.pixels import isolation

PATTERNS = [re.compile("".join(f"[{c}]" for c in text[:40]).encode()) for text in json.loads(sys.argv[1])]
connection = Connection.from_environment("s3", os.environ)
held = credentials.from_environment(os.environ)
signed = sign("GET", "h", "/", {}, "", credentials=held, region="eu-west-1", service="s3", at=0.0)
requests = [f"{name}: {value}\r\n".encode() for name, value in signed.items()]
listening = socket.create_server(("127.0.0.1", 0))
asked = socket.create_connection(listening.getsockname())
kept = tempfile.TemporaryFile()
files = [os.readlink(f"/proc/self/fd/{one.fileno()}") for one in (listening, asked, kept)]


def in_memory():
    found = []
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            place, rights, _, _, inode, *name = line.split()
            if not rights.startswith("rw") or name[:1] in (["[vvar]"], ["[vvar_vclock]"]):
                continue
            start, end = (int(one, 16) for one in place.split("-"))
            memory.seek(start)
            content = memory.read(end - start)
            found += [number for number, pattern in enumerate(PATTERNS) for _ in pattern.finditer(content)]
    return found


def look():
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    libc.prctl(4, 1, 0, 0, 0)  # as whoever runs code in it could, to read its own memory
    descriptors = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            descriptors[int(number)] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # that of the listing itself
            continue
    with open("/proc/self/environ", "rb") as file:
        started = file.read().decode(errors="replace")
    return {
        "variables": dict(os.environ),
        "getenv": [libc.getenv(name) is not None for name in (b"AWS_SECRET_ACCESS_KEY", b"IMAGES_TABLE", b"PATH")],
        "started": [name for name in ("AWS_", "IMAGES_TABLE") if name in started],
        "memory": in_memory(),
        "opened": [link for link in descriptors.values() if link in files],
        "descriptors": sorted(descriptors),
        "status": dict(line.split(":", 1) for line in open("/proc/self/status")),
    }


before = look()
outcome = isolation.run(lambda send: send(look()), memory_bytes=1 << 30, cpu_seconds=20, wall_seconds=60)
after = look()
dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)  # `look` has just set it
again = isolation.run(lambda send: send({}), memory_bytes=1 << 30, cpu_seconds=20, wall_seconds=60)
print(json.dumps({"before": before, "child": outcome.frames[0][0], "after": after, "ended": outcome.ended + again.ended,
                  "dumpable": [dumpable, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(ROOT / "src"),
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_REGION": "eu-west-1",
        "IMAGES_TABLE": "Images",
    }
    command = [sys.executable, "-c", SCRIPT, json.dumps([SECRET[::-1], TOKEN[::-1]])]
    # Backwards, for the argument is in memory as well.
    command[2] = SCRIPT.replace("text[:40]", "text[::-1][:40]")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["ended"] == ""
    return answer


def test_the_parent_has_what_the_child_is_to_forget(found: dict[str, Any]) -> None:
    for when in ("before", "after"):
        assert found[when]["variables"]["AWS_SECRET_ACCESS_KEY"] == SECRET
        assert found[when]["started"] == ["AWS_", "IMAGES_TABLE"]
        assert len(found[when]["opened"]) == 3
        assert set(found[when]["memory"]) == {0, 1}
    assert len(found["before"]["memory"]) > 5, "in variables, in objects, in requests"


def test_a_child_sees_no_variable_of_the_function(found: dict[str, Any]) -> None:
    assert set(found["child"]["variables"]) <= {"PATH", "HOME", "PYTHONPATH"}
    assert found["child"]["variables"]["PATH"] == found["before"]["variables"]["PATH"]
    assert found["child"]["getenv"] == [False, False, True]
    assert found["child"]["started"] == []


def test_a_childs_memory_holds_no_credentials(found: dict[str, Any]) -> None:
    assert found["child"]["memory"] == []


def test_a_child_has_no_file_or_socket_of_its_parent(found: dict[str, Any]) -> None:
    assert found["child"]["opened"] == []
    assert found["child"]["descriptors"] == [0, 1, 2, 3]


def test_a_child_gains_no_rights_by_starting_a_program(found: dict[str, Any]) -> None:
    assert found["child"]["status"]["NoNewPrivs"].strip() == "1"


def test_a_child_cannot_look_into_its_parent(found: dict[str, Any]) -> None:
    # What the kernel asks before it opens /proc/PID/environ and /proc/PID/mem to anybody but root.
    assert found["dumpable"] == [1, 0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_child_that_is_not_root_is_refused_its_parents_memory_and_environment() -> None:
    script = """
import os
from weaudit.images.pixels import forgetting, isolation


def peek(send):
    for name in ("environ", "mem"):
        try:
            open(f"/proc/{os.getppid()}/{name}", "rb").close()
            send({"opened": name})
        except PermissionError:
            send({"refused": name})


libc = forgetting.prepare()  # imports what nobody else may read here
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
libc.prctl(4, 1, 0, 0, 0)  # as any program is that was started
read, write = os.pipe()
if os.fork() == 0:
    peek(lambda head: os.write(write, f"{head} ".encode()))
    os._exit(0)
os.wait()
print(os.read(read, 100).decode().strip())
outcome = isolation.run(peek, memory_bytes=1 << 30, cpu_seconds=20, wall_seconds=60)
print(outcome.ended, [head for head, _ in outcome.frames])
"""
    command, environment = [sys.executable, "-c", script], {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, after = done.stdout.strip().splitlines()
    assert before == "{'opened': 'environ'} {'opened': 'mem'}"
    assert after.strip() == "[{'refused': 'environ'}, {'refused': 'mem'}]"
