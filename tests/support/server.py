"""A real server on the loopback interface, which does what it is told: cut, fail, serve ranges or none."""

import contextlib
import hashlib
import http.server
import threading

from jaxcircuits.zoo.entry import Remote


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` and answers Range requests.

    Attributes:
      files: path -> content.
      cuts: path -> how many bytes each of the next connections gets before it is cut.
      ranges: whether Range is honored.
      answers: path -> what to do in place of serving it, for each of the next requests.
      log: (path, Range header) of every request.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cuts, self.answers, self.ranges, self.log = {}, {}, {}, True, []
        self.stopped = threading.Event()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def remote(self, name, content, algorithm="sha256", **options):
        """Serves a file and says what the program would be told of it."""
        self.files[f"/{name}"] = content
        return Remote(self.url(name), f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}", **options)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.log.append((self.path, asked))
        if answers := self.server.answers.get(self.path):
            with contextlib.suppress(OSError):  # the client may have hung up
                (answers.pop(0) if len(answers) > 1 else answers[0])(self)
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cuts = self.server.cuts.get(self.path, [])
        self.wfile.write(content[start : start + cuts.pop(0)] if cuts else content[start:])

    def log_message(self, *_):
        pass


CONTENT = bytes(range(256)) * 2000


def ignore(done, total):
    """A progress callback."""
