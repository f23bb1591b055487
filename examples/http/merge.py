"""A merge in plain Python: one line for each file and its count, the highest first.

The parts come as `multipart/mixed` (docs/containers.md), which the standard library's e-mail parser reads.
"""

import email
import email.policy
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer


def parts(content_type: str, body: bytes):
    """The shard and the JSON of each part."""
    head = b"content-type: " + content_type.encode("ascii") + b"\r\n\r\n"
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    for part in message.iter_parts():
        yield int(part["longshore-shard"]), json.loads(part.get_payload(decode=True))


def merged(counts: dict[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda hit: (-hit[1], hit[0]))
    return "".join(f"{count} {name}\n" for name, count in ranked)


QUERIES, UNDER_WAY = set(), threading.Condition()


class Merge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
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
        body = self.rfile.read(int(self.headers["content-length"]))
        counts = {}
        for _shard, hits in parts(self.headers["content-type"], body):
            for name, count in hits.items():
                counts[name] = counts.get(name, 0) + count
        # How many shards are missing from the parts is for Longshore to say; a merge says only what it left out itself.
        self.answer(200, merged(counts).encode(), "text/plain; charset=utf-8")

    def answer(self, status: int, body: bytes, content_type: str = "text/plain"):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, UnixStreamServer):
    """A thread for each connection, on the socket that Longshore names. (127.0.0.1:$PORT would do in a container, too.)"""

    daemon_threads = True  # connections are kept open; a query under way is seen to below
    request_queue_size = 128


def main():
    server = Server(os.environ["LONGSHORE_SOCKET"], Merge)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    with UNDER_WAY:  # until the last query is answered
        UNDER_WAY.wait_for(lambda: not QUERIES, timeout=10)


if __name__ == "__main__":
    sys.exit(main())
