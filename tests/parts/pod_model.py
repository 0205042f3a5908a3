#!/usr/bin/env python3
"""A model server that ends as good ones do: `pod_model.py PORT [--load SECONDS] [--grace SECONDS]`.

HTTP/1.1. A POST of JSON is answered after `take` seconds (0.01) with its own `id`; with `stream`, in so
many chunks spread over that time. On SIGTERM it listens no more, closes connections that wait for a
request, finishes what it has begun, and exits 0; after `grace` it exits 1.
"""

import argparse
import asyncio
import json
import signal
import sys


class Model:
    def __init__(self):
        self.is_ending = asyncio.Event()
        self.idle, self.tasks = set(), set()

    async def connected(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            while not self.is_ending.is_set():
                if not await self.exchange(reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.tasks.discard(task)
            self.idle.discard(writer)
            writer.close()

    async def exchange(self, reader, writer):
        """False if no other request is to come."""
        self.idle.add(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.idle.discard(writer)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        body = await self.body(reader, fields)
        asked = json.loads(body) if body else {}
        take, chunks = asked.get("take", 0.01), asked.get("stream", 0)
        said = json.dumps({"id": asked.get("id"), "outputs": []}).encode()
        if chunks:
            await self.stream(writer, said, take, chunks)
        else:
            await asyncio.sleep(take)
            writer.write(self.head(b"Content-Length: %d" % len(said)) + said)
        await writer.drain()
        return not self.is_ending.is_set()

    @staticmethod
    async def body(reader, fields):
        if fields.get(b"transfer-encoding") != b"chunked":
            return await reader.readexactly(int(fields.get(b"content-length", b"0")))
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    async def stream(self, writer, said, take, chunks):
        writer.write(self.head(b"Transfer-Encoding: chunked"))
        for index in range(chunks):
            await asyncio.sleep(take / chunks)
            piece = said + b" %d\n" % index
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    def head(self, framing):
        close = b"Connection: close\r\n" if self.is_ending.is_set() else b""
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + close + framing + b"\r\n\r\n"


async def main(options):
    if options.load:
        await asyncio.sleep(options.load)
    model = Model()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, model.is_ending.set)
    server = await asyncio.start_server(model.connected, "0.0.0.0", options.port)
    await model.is_ending.wait()
    server.close()
    for writer in list(model.idle):
        writer.close()
    _, late = await asyncio.wait(model.tasks, timeout=options.grace) if model.tasks else ((), ())
    return 1 if late else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--load", type=float, default=0.0, help="seconds until it listens")
    parser.add_argument("--grace", type=float, default=60.0, help="seconds that what has begun may take")
    sys.exit(asyncio.run(main(parser.parse_args())))
