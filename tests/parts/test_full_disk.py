"""A disk that is full costs archived exchanges, each of them counted, and what a restart would go on
with, which says so; it touches no traffic."""

import pathlib
import resource
import subprocess
import tempfile

import pytest
from conftest import Load, ask, check_archive, get_json, infer_body, wait_until

ROTATE = ("--archive-rotate-interval", "1s")
BODY = infer_body(a=[number / 7 for number in range(2000)])


class SmallDisk:
    """A file system of 4 MiB, filled to the brim by a file beside the data. Needs the right to mount."""

    def __init__(self, tmp_path):
        self.mount = tmp_path / "disk"
        self.mount.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", self.mount]
        subprocess.run(command, check=True, capture_output=True, timeout=10)
        self.data = self.mount / "data"
        self.ballast = self.mount / "ballast"

    @classmethod
    def is_possible(cls):
        with tempfile.TemporaryDirectory() as directory:
            try:
                cls(pathlib.Path(directory)).close()
            except (OSError, subprocess.CalledProcessError):
                return False
            return True

    def fill(self, _):
        with open(self.ballast, "ab", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                return

    def empty(self, _):
        self.ballast.unlink()

    def close(self):
        subprocess.run(["umount", "--lazy", self.mount], check=True, timeout=10)


class FileSizeLimit:
    """What any user can have: a bound on the size of files that the process may write, set from outside
    while it runs. It leaves room for the log, which is a file too."""

    ROOM = 4096

    def __init__(self, tmp_path):
        self.data = tmp_path / "data"

    def fill(self, sidecar):
        self.limit(sidecar, self.ROOM)

    def empty(self, sidecar):
        self.limit(sidecar, resource.RLIM_INFINITY)

    @staticmethod
    def limit(sidecar, soft):
        resource.prlimit(sidecar.child.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def close(self):
        pass


DISKS = [FileSizeLimit, *([SmallDisk] if SmallDisk.is_possible() else [])]


@pytest.fixture(params=DISKS, ids=lambda kind: kind.__name__)
def disk(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.close()


def test_traffic_flows_losses_are_counted_and_it_recovers(disk, upstream, sidecar):
    through = sidecar(upstream.url, *ROTATE, data=disk.data)

    def is_saved():
        return saved("ok") > 1 and (state / "closed").stat().st_size > FileSizeLimit.ROOM

    def healthy():
        return through.total("taffrail_archive_healthy") == 1

    def exchanges(outcome):
        return through.total("taffrail_archive_exchanges_total", outcome=outcome)

    assert ask(through, BODY).status == 200
    wait_until(lambda: exchanges("written") == 1, "a first file is written", 20)
    with Load(through.address, BODY) as load:
        disk.fill(through)
        wait_until(lambda: not healthy(), "the archive says that it fails", 30)
        wait_until(lambda: exchanges("lost") > 100, "losses are counted", 60)
        assert "cannot be written" in through.output()
        before = load.answered()
        wait_until(lambda: load.answered() > before + 200, "traffic flows", 30)
        disk.empty(through)
        wait_until(healthy, "the archive recovers", 60)
        written = exchanges("written")
        wait_until(lambda: exchanges("written") > written, "and is written again", 30)
    assert (load.broken, set(load.statuses)) == ([], {200})

    def captured(outcome):
        return through.total("taffrail_capture_exchanges_total", outcome=outcome)

    # What load takes analysis over its CPU budget is sampled out, before the archive and counted too.
    asked = load.answered() + 1
    wait_until(lambda: captured("kept") + captured("sampled_out") == asked, "each is kept or sampled out", 30)
    kept = captured("kept")
    wait_until(lambda: exchanges("written") + exchanges("lost") == kept, "each kept one is written or lost", 30)
    recorded = exchanges("written")
    assert captured("dropped") == 0
    through.drain()
    check_archive(disk.data, int(recorded))


def test_windows_are_saved_again_once_there_is_room(disk, upstream, sidecar):
    # Saved whenever a window closes; more than the bound on files leaves room for.
    keys = ("--archive", "off", "--windows", "1s,1m")
    through = sidecar(upstream.url, *keys, data=disk.data)
    state = disk.data / "state"

    def saved(outcome):
        return through.total("taffrail_state_saves_total", outcome=outcome)

    def is_saved():
        return saved("ok") > 1 and (state / "closed").stat().st_size > FileSizeLimit.ROOM

    def healthy():
        return through.total("taffrail_state_healthy") == 1

    def is_failing():
        disk.fill(through)
        return not healthy()

    with Load(through.address, BODY) as load:
        wait_until(is_saved, "it is saved, and as more than there will be room for", 30)
        assert healthy() and saved("failed") == 0
        wait_until(is_failing, "it says that it cannot be saved", 60)
        # Saves that were under way left the room of files that they replaced; none is now.
        disk.fill(through)
        assert "windows cannot be saved" in through.output()
        before, failures = load.answered(), saved("failed")
        known = (state / "open").read_bytes()
        wait_until(lambda: saved("failed") > failures, "it is tried again", 60)
        wait_until(lambda: load.answered() > before + 200, "traffic flows", 30)
        assert (state / "open").read_bytes() == known, "what was saved before is whole"
        assert not list(state.glob("*.inprogress")), "a part of it holds no room"
        disk.empty(through)
        written = saved("ok")
        wait_until(lambda: healthy() and saved("ok") > written, "it is saved again", 60)
    assert (load.broken, set(load.statuses)) == ([], {200})
    through.drain()
    second = sidecar(upstream.url, *keys, data=disk.data)

    def state_of():
        return get_json(f"{second.admin}/api/v1/status")["state"]

    went_on = wait_until(state_of, "what was saved is told of", 30)
    assert went_on["resumed_from"] and went_on["rejected"] == 0, went_on
