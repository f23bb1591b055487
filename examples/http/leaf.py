"""A leaf in plain Python: counts the lines of its shard's files that have the query in them.

It speaks the interface `http` (docs/containers.md) with the standard library alone. The answer is JSON, which the built-in
merges `sum`, `json-array` and `top` read. A file that cannot be read makes the answer a partial one: it says so.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

DATA = Path(os.environ.get("LONGSHORE_DATA", "."))


def count(query: str) -> tuple[dict[str, int], list[str], int]:
    """Matching lines by file, the files that could not be read, and how many files there are."""
    hits, unread = {}, []
    files = sorted(path for path in DATA.rglob("*") if path.is_file())
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            unread.append(str(path.relative_to(DATA)))
            continue
        found = sum(query in line for line in lines)
        if found:
            hits[str(path.relative_to(DATA))] = found
    return hits, unread, len(files)


QUERIES, UNDER_WAY = set(), threading.Condition()


class Leaf(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept for the next request

    def do_GET(self):
        """GET /healthz: the leaf is ready as soon as it listens."""
        self.answer(200 if self.path == "/healthz" else 404, b"")

    def do_POST(self):
        with UNDER_WAY:
            QUERIES.add(self)
        try:
            self.query()
        finally:
            with UNDER_WAY:
                QUERIES.discard(self)
                UNDER_WAY.notify_all()

    def query(self):
        """POST /: the body is the query."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            query = body.decode("utf-8")
        except UnicodeDecodeError:
            self.answer(400, b"the query is no text\n")  # bad anywhere: no other replica is asked
            return
        hits, unread, files = count(query)
        said = {"content-type": "application/json"}
        if unread:
            said["longshore-coverage"] = f"{files - len(unread)}/{files}"
            said["longshore-missing"] = f"cannot read {len(unread)} of {files} files"
        self.answer(206 if unread else 200, json.dumps(hits).encode(), said)

    def answer(self, status: int, body: bytes, said: dict[str, str] | None = None):
        self.send_response(status)
        for name, value in (said or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged; what goes wrong is, by the library."""


class Server(ThreadingMixIn, UnixStreamServer):
    """A thread for each connection, on the socket that Longshore names. (127.0.0.1:$PORT would do in a container, too.)"""

    daemon_threads = True  # connections are kept open; a query under way is seen to below
    request_queue_size = 128


def main():
    server = Server(os.environ["LONGSHORE_SOCKET"], Leaf)
    # On SIGTERM nothing more is taken, and what is under way is finished.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    with UNDER_WAY:  # until the last query is answered
        UNDER_WAY.wait_for(lambda: not QUERIES, timeout=10)


if __name__ == "__main__":
    sys.exit(main())
