"""A process that is killed under load loses the file it was writing, says so, and nothing else."""

import random
import signal

from conftest import Load, ask, check_archive, get_json, infer_body, wait_until

ROTATE = ("--archive-rotate-interval", "2s")
# Enough that a row group fills, and a file is open, before its time is up.
BODY = infer_body(a=[random.Random(6).random() for _ in range(20_000)])


def whole(data):
    return {path: path.read_bytes() for path in (data / "archive").glob("*.parquet")}


def unfinished(data):
    return sorted((data / "archive").glob("*.inprogress"))


def test_its_archive_is_readable_and_the_next_one_counts_what_it_left(upstream, sidecar, tmp_path):
    data = tmp_path / "data"
    first = sidecar(upstream.url, *ROTATE, data=data)

    def stopped_while_writing():
        if not whole(data) or not unfinished(data):
            return False
        first.child.send_signal(signal.SIGSTOP)
        if unfinished(data):
            return True
        first.child.send_signal(signal.SIGCONT)
        return False

    with Load(first.address, BODY) as load:
        wait_until(stopped_while_writing, "a whole file and one being written", 60, pause=0.02)
        left = unfinished(data)
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert load.broken, "it was killed under load"
    assert set(load.statuses) == {200}
    survived = whole(data)
    check_archive(data)

    second = sidecar(upstream.url, *ROTATE, data=data)
    assert ask(second, infer_body(a=[1.0]), "after").status == 200

    def counted():
        archive = get_json(f"{second.admin}/api/v1/status")["archive"]
        shown = second.total("taffrail_archive_abandoned_files_total")
        return (archive or {}).get("abandoned_files") == shown == len(left)

    wait_until(counted, "leftovers are counted", 10)
    assert not set(left) & set(unfinished(data)), "leftovers are removed"
    second.drain()
    assert survived.items() <= whole(data).items(), "what was whole stays as it was"
    assert len(whole(data)) == len(survived) + 1
    assert not unfinished(data)
    check_archive(data)
