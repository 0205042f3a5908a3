#!/usr/bin/env python3
"""Runs a command against rotel, a real OTLP agent, and checks that what it sent was understood.

    rotel.py --agent PATH [--http-port N] [--grpc-port N] --expect NAME [--expect NAME…] -- COMMAND…

The command finds the agent at OTEL_EXPORTER_OTLP_ENDPOINT, and ends by itself or is stopped by
SIGTERM after --seconds. Exit 0 if the command did well and each NAME stands in what rotel printed,
1 if not. Get the agent with `pip install rotel==0.0.1a15`; it is `rotel/rotel-agent` in there.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, agent, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and agent.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"rotel does not listen on port {port}")


def stop(process, seconds=15):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def start_agent(options, log):
    command = [options.agent, "start", "--exporter", "blackhole"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{options.http_port}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{options.grpc_port}"]
    for each in ("traces", "metrics", "logs"):
        command += ["--debug-log", each]
    command += ["--debug-log-verbosity", "detailed"]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def run(options):
    environment = dict(os.environ)
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{options.http_port}"
    command = subprocess.Popen(options.command, env=environment)
    try:
        return command.wait(options.seconds)
    except subprocess.TimeoutExpired:
        return stop(command)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("--http-port", type=int, default=free_port())
    parser.add_argument("--grpc-port", type=int, default=free_port())
    parser.add_argument("--expect", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=30, help="then the command is stopped")
    parser.add_argument("--print", action="store_true", help="show what rotel printed")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    options.command = options.command[1:] if options.command[:1] == ["--"] else options.command

    with tempfile.NamedTemporaryFile("w+") as log:
        agent = start_agent(options, log)
        try:
            wait_for(options.http_port, agent)
            status = run(options)
        finally:
            stop(agent)
        log.seek(0)
        printed = log.read()
    if options.print:
        print(printed)
    missing = [name for name in options.expect if name not in printed]
    for name in missing:
        print(f"rotel did not print {name}", file=sys.stderr)
    if status != 0:
        print(f"the command ended with {status}", file=sys.stderr)
    sys.exit(1 if missing or status != 0 else 0)


if __name__ == "__main__":
    main()
