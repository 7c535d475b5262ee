"""Newcomers who come one after another, four at a time, while a command runs: newcomers.py PORT COMMAND...

Prints how many were answered, refused, or not answered at all, and the longest wait of one who was answered.
"""

import http.client
import json
import subprocess
import sys
import threading
import time

SECONDS = 60  # that a newcomer has patience
found = {"answered": 0, "refused": 0, "lost": 0, "other": 0, "longest": 0.0}
lock = threading.Lock()
over = threading.Event()


def come() -> str:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=SECONDS)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return "refused"
    try:
        connection.request("GET", "/readyz")
        return "answered" if connection.getresponse().status == 200 else "other"
    except (OSError, http.client.HTTPException):  # accepted, and then hung up on
        return "lost"
    finally:
        connection.close()


def go_on() -> None:
    while not over.is_set():
        begun = time.monotonic()
        what = come()
        with lock:
            found[what] += 1
            if what == "answered":
                found["longest"] = max(found["longest"], round(time.monotonic() - begun, 2))
        time.sleep(0.05)


threads = [threading.Thread(target=go_on) for _ in range(4)]
for thread in threads:
    thread.start()
status = subprocess.run(sys.argv[2:], check=False).returncode
over.set()
for thread in threads:
    thread.join()
print(json.dumps({**found, "status": status}))
