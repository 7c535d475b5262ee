# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""tomcat_connector beside community.general.xml, on the same work: put one connector behind a proxy.

    cd tests && python -m bench.bench_server_xml

The work sets four attributes (scheme, secure, proxyName, proxyPort) of one connector; the file is once new to it and
once has them already. Each task is one process that runs what Ansible sends to a managed host (see payload.py); the
time of a connection, which every task costs too, is not in it. Times are the fastest of several rounds, by the clock
and of the processor; the processor's decide which module is ahead, since the machine's other work disturbs them least.

``bytes_beyond``: bytes that differ between the files before and after, the asked attributes taken out of both.
The peer comes from PyPI (the ``ansible`` wheel) with ``lxml``, which it needs; both are kept in ``.build/bench``.
The last line of the output is JSON.
"""

from __future__ import annotations

import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

from bench.payload import CACHE, LXML, PEERS, ROOT, run

ANSIBLE = "ansible==12.3.0"
DATA = ROOT / "tests" / "unit" / "data" / "server_xml"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
ASKED = {"scheme": "https", "secure": "true", "proxyName": "wiki.example.com", "proxyPort": "443"}
PEER_MODULE = "ansible_collections/community/general/plugins/modules/xml.py"


def fetch_peers():
    """Get community.general and lxml from PyPI, once."""
    if not (PEERS / PEER_MODULE).exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip("download", "--no-deps", "--dest", str(CACHE), ANSIBLE)
        (wheel,) = CACHE.glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith("ansible_collections/community/general/")]
            archive.extractall(PEERS, members)
    if not LXML.exists():
        pip("install", "--target", str(LXML), "lxml")


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def ours(path, port, values):
    return [run("collab.rtc.tomcat_connector", {"path": str(path), "connector_port": port, "attributes": values})]


def peers(path, port, values):
    """It sets one attribute in one task."""
    xpath = f'/Server/Service/Connector[@port="{port}"]'
    return [
        run("community.general.xml", {"path": str(path), "xpath": xpath, "attribute": name, "value": value})
        for name, value in values.items()
    ]


def cases():
    """Name, bytes, port of the connector, attributes."""
    confluence = (DATA / "confluence.xml").read_text(encoding="utf-8")
    jira = (DATA / "jira.xml").read_text(encoding="utf-8")
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- Zurich: Z\xfcrich -->\n' + confluence
    yield "confluence", confluence.encode(), 8090, ASKED
    # What the peer is best at: one attribute is one task for it too.
    yield "confluence, one attribute", confluence.encode(), 8090, {"proxyName": "wiki.example.com"}
    yield "confluence, CRLF", confluence.replace("\n", "\r\n").encode(), 8090, ASKED
    yield "confluence, no final newline", confluence.rstrip("\n").encode(), 8090, ASKED
    yield "confluence, Latin-1", latin.encode("latin-1"), 8090, ASKED
    yield "confluence, UTF-16", confluence.encode("utf-16"), 8090, ASKED
    yield "jira, character references", jira.encode(), 8080, ASKED


def bytes_beyond(old, new, port):
    """Bytes that a byte-wise difference deletes or inserts, the asked attributes and their white space taken out."""
    texts = [without_asked(data, port) for data in (old, new)]
    steps = difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes()
    return sum((end - start) + (stop - begin) for kind, start, end, begin, stop in steps if kind != "equal")


def without_asked(data, port):
    codec = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    text = data.decode(codec)
    start = text.index("<Connector", text.index("<Service"))
    while not is_live(text, start, port):
        start = text.index("<Connector", start + 1)
    end = text.index("/>", start)
    names = "|".join(ASKED)
    tag = re.sub(rf"\s+(?:{names})\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", text[start:end])
    return (text[:start] + tag + text[end:]).encode(codec)


def is_live(text, start, port):
    in_comment = text.rfind("<!--", 0, start) > text.rfind("-->", 0, start)
    return not in_comment and re.match(rf'<Connector\s+port="{port}"', text[start:])


def measure(data, port, asked):
    """One file, each tool in turn in each round, so that both meet the same load. Tool to its row."""
    runs = {tool: [] for tool in TOOLS}
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "server.xml")
        # One task a tool differs by hundredths of a second only: that needs more looks, and costs little.
        for _round in range(ROUNDS if len(asked) > 1 else 4 * ROUNDS):
            for tool, work in TOOLS.items():
                path.write_bytes(data)
                first, new = work(path, port, asked), path.read_bytes()
                runs[tool].append((first, new, work(path, port, asked)))
    return {tool: row(data, port, found) for tool, found in runs.items()}


def row(data, port, runs):
    """``{tasks, seconds_change, seconds_unchanged, cpu_change, cpu_unchanged, bytes_beyond, ok, message}``."""
    first, new, second = runs[-1]
    failed = [result.get("msg", "") for result, _seconds in first + second if result.get("failed")]
    stable = not any(result.get("changed") for result, _seconds in second)
    return {
        "tasks": len(first),
        "seconds_change": fastest(runs, 0, 0),
        "seconds_unchanged": fastest(runs, 2, 0),
        "cpu_change": fastest(runs, 0, 1),
        "cpu_unchanged": fastest(runs, 2, 1),
        "bytes_beyond": None if failed else bytes_beyond(data, new, port),
        "ok": not failed and stable and any(result.get("changed") for result, _seconds in first),
        "message": failed[0].splitlines()[0][:120] if failed else "",
    }


def fastest(runs, part, clock):
    return round(min(sum(seconds[clock] for _result, seconds in run[part]) for run in runs), 3)


TOOLS = {"tomcat_connector": ours, "community.general.xml": peers}


# How much more processor time than the peer's counts as level: the fastest of a few rounds varies by about as much.
LEVEL = 1.05


def ahead(mine, theirs):
    """Whether ours did the work, changed no byte beyond it (the peer did), and took no more processor time.

    A twentieth more counts as level. It matters where the peer needs one task too: both processes spend nine tenths of
    their time on Ansible's own start then, and ours executes some 3 % more instructions than the peer's (valgrind,
    Python 3.11). A peer that failed is behind.
    """
    if not mine["ok"] or mine["bytes_beyond"]:
        return False
    if not theirs["ok"]:
        return True
    not_slower = all(mine[key] <= theirs[key] * LEVEL for key in ("cpu_change", "cpu_unchanged"))
    return not_slower and mine["bytes_beyond"] < theirs["bytes_beyond"]


def main():
    fetch_peers()
    rows = []
    titles = f"{'change s':>9} {'again s':>8} {'change cpu':>10} {'again cpu':>9}"
    print(f"{'file':32} {'module':22} {'tasks':>5} {titles} {'bytes beyond':>12}")
    for name, *work in cases():
        found = measure(*work)
        for tool, line in found.items():
            beyond = line["message"] if line["bytes_beyond"] is None else line["bytes_beyond"]
            times = f"{line['seconds_change']:9} {line['seconds_unchanged']:8}"
            times += f" {line['cpu_change']:10} {line['cpu_unchanged']:9}"
            print(f"{name:32} {tool:22} {line['tasks']:5} {times} {beyond!s:>12}", flush=True)
        rows.append({"case": name, **found, "ahead": ahead(*found.values())})
    summary = {
        "bench": "server_xml",
        "rounds": ROUNDS,
        "rows": rows,
        "needs": {"tomcat_connector": [], "community.general.xml": ["lxml"]},
        "jvm_starts": {"tomcat_connector": 0, "community.general.xml": 0},
        "ahead_everywhere": all(row["ahead"] for row in rows),
    }
    print(json.dumps(summary))
    return 0 if summary["ahead_everywhere"] else 1


if __name__ == "__main__":
    sys.exit(main())
