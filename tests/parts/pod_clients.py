"""Clients that keep their connections, as the ones in front of a Service do: each connection stays with
the pod it was made to. One that was closed is seen before the next request and made anew, to whatever
pod is known by then; a request that was sent and is not answered 200 has failed."""

import http.client
import json
import random
import select
import socket
import threading
import time
from collections import Counter

import hpack
from conftest import INFER
from pod import PROPAGATION, scaled

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4


class Failed(Exception):
    """A request that did not get its answer, whole and 200."""


def is_readable(sock):
    return bool(select.select([sock], [], [], 0)[0])


class Http1:
    """One connection at a time, and one request at a time on it."""

    def __init__(self, pick, port):
        self.pick, self.port = pick, port
        self.connection = None

    def ask(self, asked):
        connection = self.connected()
        try:
            body = json.dumps(asked).encode()
            connection.request("POST", INFER, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Failed(f"{connection.host}: {error!r}") from error
        if answer.status != 200 or f'"id": "{asked["id"]}"'.encode() not in told:
            raise Failed(f"{connection.host}: {answer.status} {told!r}")
        return connection.host

    def connected(self):
        """The kept connection, if it is still open as far as one can see, or a new one."""
        kept = self.connection
        if kept is None or kept.sock is None or is_readable(kept.sock):
            self.close()
            self.connection = http.client.HTTPConnection(self.pick(), self.port, timeout=60)
            try:
                self.connection.connect()
            except OSError as error:
                raise Failed(f"{self.connection.host}: cannot connect: {error!r}") from error
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.connection

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Stream:
    def __init__(self, asked):
        self.asked, self.status, self.body, self.is_over = asked, None, b"", False


class Http2:
    """Two requests at a time on one connection, without TLS. After GOAWAY those that the peer says it
    did not look at go to another pod, as they may (RFC 9113, section 6.8)."""

    def __init__(self, pick, port):
        self.pick, self.port = pick, port
        self.sock = None

    def ask(self, asked):
        left = [asked, {**asked, "id": asked["id"] + "-2"}]
        while left:
            try:
                self.connect_if_needed()
                left = self.exchange(left)
            except OSError as error:
                self.close()
                raise Failed(f"{self.host}: {error!r}") from error
        return self.host

    def connect_if_needed(self):
        if self.sock is not None:
            while not self.is_leaving and is_readable(self.sock):
                self.step()
            if not self.is_leaving:
                return
            self.close()
        self.host = self.pick()
        self.sock = socket.create_connection((self.host, self.port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams, self.next_stream = {}, 1
        self.is_leaving, self.last_stream = False, 1 << 31
        self.sock.sendall(PREFACE)
        self.send(SETTINGS, 0, 0, b"")

    def exchange(self, asks):
        """Sends all of them, and gives those that have to be sent again."""
        self.streams = {}
        for asked in asks:
            self.request(asked)
        while any(not stream.is_over for number, stream in self.streams.items() if number <= self.last_stream):
            if not self.step():
                break
        again = []
        for number, stream in self.streams.items():
            if number > self.last_stream:
                again.append(stream.asked)
            elif not stream.is_over or stream.status != "200" or stream.asked["id"].encode() not in stream.body:
                raise Failed(f"{self.host}: stream {number}: {stream.status} {stream.body!r}")
        return again

    def request(self, asked):
        fields = [(":method", "POST"), (":scheme", "http"), (":path", INFER), (":authority", self.host)]
        fields += [("content-type", "application/json")]
        self.send(HEADERS, END_HEADERS, self.next_stream, self.encoder.encode(fields))
        self.send(DATA, END_STREAM, self.next_stream, json.dumps(asked).encode())
        self.streams[self.next_stream] = Stream(asked)
        self.next_stream += 2

    def send(self, kind, flags, stream, payload):
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        self.sock.sendall(head + payload)

    def remark(self, kind, flags, payload):
        """What a peer that has said all and closed need not hear any more."""
        try:
            self.send(kind, flags, 0, payload)
        except OSError:
            self.is_leaving = True

    def read(self, count):
        read = b""
        while len(read) < count:
            piece = self.sock.recv(count - len(read))
            if not piece:
                return None
            read += piece
        return read

    def step(self):
        """Takes in one frame; False if there is none to come."""
        head = self.read(9)
        payload = self.read(int.from_bytes(head[:3], "big")) if head else None
        if payload is None:
            self.is_leaving = True
            return False
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == GOAWAY:
            self.is_leaving, self.last_stream = True, int.from_bytes(payload[:4], "big")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self.remark(kind, ACK, b"" if kind == SETTINGS else payload)
        elif kind in (HEADERS, DATA, RST_STREAM):
            self.take(kind, flags, self.streams[number], payload)
        return True

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            # Without padding or priority, as Taffrail sends them; a trailer has no status.
            fields = dict(self.decoder.decode(payload))
            stream.status = fields.get(":status", stream.status)
        elif kind == DATA:
            stream.body += payload
            if payload:
                self.remark(WINDOW_UPDATE, 0, len(payload).to_bytes(4, "big"))
        stream.is_over |= kind == RST_STREAM or bool(flags & END_STREAM)
        if kind == RST_STREAM:
            stream.status = f"reset {int.from_bytes(payload, 'big')}"

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None


class Clients:
    """Asks without pause, each client at its own pace, for as long as the block lasts. `failed` holds what
    became of requests that did not get their 200, `answered` how many did, by pod."""

    def __init__(self, endpoints, port, http1=6, http2=2, pause=(0.005, 0.03)):
        self.endpoints, self.port, self.pause = endpoints, port, pause
        self.answered, self.failed = Counter(), []
        self.stopping = threading.Event()
        kinds = [Http1] * http1 + [Http2] * http2
        self.threads = [
            threading.Thread(target=self.run, args=(number, kind), daemon=True) for number, kind in enumerate(kinds)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, number, kind):
        numbers = random.Random(number)
        # Each node hears of a withdrawal at its own time.
        lag = scaled(numbers.uniform(*PROPAGATION))
        client = kind(lambda: self.endpoints.pick(lag), self.port)
        count = 0
        while not self.stopping.wait(numbers.uniform(*self.pause)):
            count += 1
            asked = {"id": f"{number}.{count}", "take": numbers.uniform(0.0, 0.02)}
            if numbers.random() < 0.05:
                asked |= {"take": numbers.uniform(0.1, 0.3), "stream": 5}
            try:
                self.answered[client.ask(asked)] += 1
            except Failed as error:
                self.failed.append((round(time.monotonic(), 3), asked, str(error)))
        client.close()
