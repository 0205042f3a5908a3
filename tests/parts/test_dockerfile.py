"""The image, as far as it can be known without an engine: the linter has nothing to say, what is copied in is
enough to build from, and the program serves as its user on a file system that nobody can write to."""

import fnmatch
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess

import kube
from conftest import BINARY, INFER, ROOT, Process, check_archive, exchange, free_port, infer_body, wait_until

DOCKERFILE = ROOT / "k8s/Dockerfile"
# What gcr.io/distroless/cc-debian12 holds of libraries: glibc, libgcc, libstdc++, libgomp.
OF_THE_BASE = {
    "libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libstdc++.so.6",
    "libgomp.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
}  # fmt: skip


def instructions():
    """(name, rest) of each instruction, its lines put together."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            name, rest = line.split(None, 1)
            yield name, " ".join(rest.split())


def stages():
    found = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def test_the_linter_has_nothing_to_say():
    for file in (DOCKERFILE, *ROOT.glob("k8s/recipes/*/Dockerfile")):
        done = kube.hadolint(file)
        assert done.returncode == 0, done.stdout


def test_the_linter_would_say_it(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install curl\n")
    assert kube.hadolint(bad).returncode != 0


def test_the_image_runs_as_nobody_and_names_what_it_is():
    build, image = stages()
    assert build[0][1].startswith("--platform=$BUILDPLATFORM "), "the compiler runs natively"
    told = dict(image)
    assert told["USER"] == "65532:65532"
    assert json.loads(told["ENTRYPOINT"]) == ["/usr/local/bin/taffrail"] and json.loads(told["CMD"]) == ["run"]
    labels = told["LABEL"]
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels
    assert not [rest for name, rest in image if name == "RUN"], "there is no shell to run anything"
    arguments = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG" and "=" in rest)
    for base in ("RUST_IMAGE", "RUNTIME_IMAGE"):
        assert re.search(r":[\w.-]+$", arguments[base]), f"{arguments[base]} has no tag"
    # Built against one glibc, it runs on no older one.
    assert "bookworm" in arguments["RUST_IMAGE"] and "debian12" in arguments["RUNTIME_IMAGE"]


READING_CARGO = """\
#!/bin/sh
# Building takes minutes; that the manifest can be read, and that the lock fits it, is what is asked here.
set -e
"$REAL" metadata --locked --offline --format-version 1 --filter-platform "$TRIPLE" >"$OUT"
mkdir -p "target/$TRIPLE/dist"
echo built >"target/$TRIPLE/dist/taffrail"
"""


def context():
    """Files that reach the builder, as .dockerignore has it: the last pattern that fits decides."""
    patterns = [line.strip() for line in (ROOT / "k8s/Dockerfile.dockerignore").read_text().splitlines()]
    patterns = [line for line in patterns if line and not line.startswith("#")]

    def kept(path):
        parents = ["/".join(path.split("/")[: depth + 1]) for depth in range(path.count("/") + 1)]
        keep = True
        for pattern in patterns:
            wanted = pattern.removeprefix("!").strip("/")
            if any(fnmatch.fnmatch(one, wanted) for one in parents):
                keep = pattern.startswith("!")
        return keep

    tracked = kube.output_of("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return [path for path in tracked if kept(path) and (ROOT / path).exists()]


def copy_in(rest, files, place):
    """A COPY of the build stage, into `place`, which stands for its WORKDIR."""
    *sources, target = shlex.split(rest)
    for source in sources:
        for path in files:
            if path == source or path.startswith(source + "/"):
                inner = path.removeprefix(source).strip("/")
                # A file goes into a directory under its own name.
                to = place / target / (inner or os.path.basename(path) if target.endswith("/") else inner)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, to)


def test_what_is_copied_in_is_enough_to_build_from(tmp_path):
    """The steps as they stand, in an empty directory and with a cargo that only reads: it finds every target that
    Cargo.toml names and a lock that fits, and every file that the compiler read for this program is there."""
    files = context()
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "cargo").write_text(READING_CARGO)
    (programs / "cargo").chmod(0o755)
    triple = re.search(r"^host: (\S+)", kube.output_of("rustc", "-vV"), re.MULTILINE)[1]
    work = tmp_path / "src"
    work.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "REAL": shutil.which("cargo"), "TRIPLE": triple}
    env["OUT"] = str(root / "metadata")
    ran = 0
    for name, rest in stages()[0]:
        if name == "COPY":
            copy_in(rest, files, work)
        if name == "RUN" and "cargo build" in rest:
            (root / "triple").write_text(triple)
            script = re.sub(r"--mount=\S+ ", "", rest)
            for path in ("/triple", "/taffrail", "/data"):
                script = re.sub(rf"(?<=[ \"(]){path}(?=[ )\"]|$)", str(root / path.strip("/")), script)
            kube.output_of("/bin/bash", "-c", f"set -e; {script}", cwd=work, env=env)
            ran += 1
    assert ran == 2, "dependencies, and then the program"
    assert (root / "taffrail").read_text() == "built\n" and (root / "data").is_dir()
    metadata = json.loads((root / "metadata").read_text())
    (package,) = [one for one in metadata["packages"] if one["name"] == "taffrail"]
    assert {"taffrail", "it", "proxy"} <= {target["name"] for target in package["targets"]}
    for path in compiled_from():
        assert (work / path).exists(), f"{path} is compiled in, and not copied in"


def compiled_from():
    """What cargo says the program at hand was made of, relative to its tree."""
    told = BINARY.with_suffix(".d").read_text().split(":", 1)[1].replace("\\ ", "\0").split()
    tree = BINARY.resolve().parents[2]
    paths = [os.path.relpath(path.replace("\0", " "), tree) for path in told]
    assert "src/main.rs" in paths and "src/admin/assets/app.css" in paths
    # A program older than the tree may have been made of what is gone.
    return [path for path in paths if (ROOT / path).exists()]


def test_a_builder_for_another_processor_is_refused(tmp_path):
    (step,) = [rest for name, rest in stages()[0] if name == "RUN" and "triple" in rest and "cargo" not in rest]
    script = step.replace("/triple", str(tmp_path / "triple"))
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "TARGETARCH": "s390x"},
    )
    assert done.returncode == 1 and "not for s390x" in done.stderr
    native = kube.output_of("dpkg", "--print-architecture").strip()
    kube.output_of("/bin/bash", "-c", script, env={**os.environ, "TARGETARCH": native})
    triple = (tmp_path / "triple").read_text().strip()
    assert triple == {"amd64": "x86_64", "arm64": "aarch64"}[native] + "-unknown-linux-gnu"
    environment = dict(stages()[0])["ENV"]
    linker = re.search(rf"CARGO_TARGET_{triple.upper().replace('-', '_')}_LINKER=(\S+)", environment)[1]
    assert shutil.which(linker), f"{linker} comes with gcc"


# Stand in for the compiler's image: what they are asked is written down, and a program comes out.
FAKES = {
    "cargo": """\
#!/bin/dash
set -e
triple=${8:?}
echo "$(date +%N) cargo $* in $(ls src | tr '\\n' ' ')" >>/calls
mkdir -p target/$triple/dist
echo "built from $(cat src/main.rs)" >target/$triple/dist/taffrail
""",
    "dpkg": "#!/bin/dash\necho amd64\n",
    "rustup": '#!/bin/dash\necho "0 rustup $*" >>/calls\n',
    "apt-get": '#!/bin/dash\necho "0 apt-get $*" >>/calls\n',
}
OF_THE_SHELL = ["dash", "mkdir", "cat", "touch", "cp", "rm", "ls", "tr", "date"]


class Builder:
    """buildah, with storage of its own, a container's namespaces left out, and both base images at hand."""

    def __init__(self, directory):
        self.directory = directory
        self.env = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
        tools = directory / "tools"
        (tools / "bin").mkdir(parents=True)
        (tools / "tmp").mkdir()
        for name in OF_THE_SHELL:
            self.add_program(tools, shutil.which(name))
        (tools / "bin/sh").symlink_to("dash")
        for name, script in FAKES.items():
            (tools / "bin" / name).write_text(script)
            (tools / "bin" / name).chmod(0o755)
        nothing = directory / "nothing"
        (nothing / "etc").mkdir(parents=True)
        self.commit(tools, "tools")
        self.commit(nothing, "nothing")

    def add_program(self, root, program):
        shutil.copy(os.path.realpath(program), root / "bin" / os.path.basename(program))
        for path in re.findall(r"(/\S+)", kube.output_of("ldd", program)):
            to = root / path.strip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(path), to)

    def run(self, *command):
        # vfs is plain directories: nothing stays mounted.
        storage = ["--storage-driver", "vfs", "--root", self.directory / "storage", "--runroot", self.directory / "run"]
        return kube.output_of("buildah", *storage, *command, env=self.env, cwd=self.directory)

    def commit(self, folder, name):
        container = self.run("from", "scratch").strip()
        self.run("copy", "-q", container, folder, "/")
        self.run("commit", "-q", container, f"localhost/{name}:1")
        self.run("rm", container)

    def build(self, tree, *more):
        bases = ["--build-arg", "RUST_IMAGE=localhost/tools:1", "--build-arg", "RUNTIME_IMAGE=localhost/nothing:1"]
        file = ["-f", tree / "k8s/Dockerfile", "--ignorefile", tree / "k8s/Dockerfile.dockerignore"]
        self.run("build", "--layers", "--pull=false", *bases, *file, *more, tree)

    def root_of(self, image):
        container = self.run("from", "--pull=false", f"localhost/{image}:1").strip()
        return pathlib.Path(self.run("mount", container).strip())

    def calls(self, tree, *more):
        """(a number of its own, what was called) for each; a step that was kept from before has its number."""
        self.build(tree, "--target", "build", "-t", "localhost/stage:1", *more)
        lines = (self.root_of("stage") / "calls").read_text().splitlines()
        return [line.split(" ", 1) for line in lines]


def test_a_builder_makes_the_image_of_it(tmp_path):
    """All but the compiler is real: arguments, stages, what is sent and copied, and what is kept for the next time."""
    tree = tmp_path / "tree"
    for path in [*context(), "k8s/Dockerfile", "k8s/Dockerfile.dockerignore"]:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tree / path)
    (tree / "secret.txt").write_text("not for the builder")
    builder = Builder(tmp_path)
    builder.build(tree, "--build-arg", "REVISION=abc123", "-t", "localhost/taffrail:1")
    first, second = builder.calls(tree)
    host = "cargo build --locked --profile dist --bin taffrail --target x86_64-unknown-linux-gnu in"
    assert first[1].split(" in ")[1].split() == ["lib.rs", "main.rs"], "dependencies first, behind empty sources"
    assert first[1].startswith(host) and second[1].startswith(host)
    assert "admin" in second[1].split(" in ")[1].split()

    config = json.loads(builder.run("inspect", "--type", "image", "localhost/taffrail:1"))["OCIv1"]["config"]
    assert config["User"] == "65532:65532" and config["WorkingDir"] == "/var/lib/taffrail"
    assert config["Entrypoint"] == ["/usr/local/bin/taffrail"] and config["Cmd"] == ["run"]
    assert config["ExposedPorts"].keys() == {"9000/tcp", "9464/tcp"}
    assert config["Labels"]["org.opencontainers.image.revision"] == "abc123"
    root = builder.root_of("taffrail")
    assert (root / "usr/local/bin/taffrail").read_text() == f"built from {(ROOT / 'src/main.rs').read_text()}"
    data = (root / "var/lib/taffrail").stat()
    assert (data.st_uid, data.st_gid) == (65532, 65532)
    # A change of the source compiles it alone; a change of the lock compiles all.
    (tree / "src/main.rs").write_text("// changed\n")
    again = builder.calls(tree)
    assert again[0] == first and again[1] != second
    (tree / "Cargo.lock").write_text("# changed\n")
    assert builder.calls(tree)[0] != first

    crossed = [call for _number, call in builder.calls(tree, "--build-arg", "TARGETARCH=arm64")]
    assert crossed[0] == "rustup target add aarch64-unknown-linux-gnu"
    assert crossed[2].endswith(" gcc-aarch64-linux-gnu libc6-dev-arm64-cross")
    assert [call.split(" in ")[0].split()[-1] for call in crossed[3:]] == ["aarch64-unknown-linux-gnu"] * 2


def libraries():
    """Each shared library of the program: where it is."""
    told = kube.output_of("ldd", BINARY)
    return [path for path in re.findall(r"(/\S+)", told) if "/lib" in path]


def let_in(folder):
    """pytest's folders are for their owner alone."""
    for one in (folder, *folder.parents[:-1]):
        one.chmod(one.stat().st_mode | 0o5)


ENTER = """\
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount --bind "$DATA" "$ROOT/var/lib/taffrail"
cd /
exec env -i PATH="$PATH" $KEPT chroot --userspec=65532:65532 --groups= "$ROOT" /usr/local/bin/taffrail run
"""


def test_it_serves_as_its_user_on_a_read_only_root(tmp_path, upstream):
    needed = {os.path.basename(path) for path in libraries()}
    assert needed <= OF_THE_BASE, f"the base image does not hold {needed - OF_THE_BASE}"
    root, data = tmp_path / "root", tmp_path / "data"
    for folder in ("usr/local/bin", "var/lib/taffrail", "etc", "tmp"):
        (root / folder).mkdir(parents=True)
    shutil.copy(BINARY, root / "usr/local/bin/taffrail")
    for path in libraries():
        (root / path.strip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), root / path.strip("/"))
    data.mkdir()
    os.chown(data, 65532, 65532)
    let_in(tmp_path)

    port, admin = free_port(), free_port()
    variables = {
        "TAFFRAIL_UPSTREAM_URL": upstream.url,
        "TAFFRAIL_LISTEN": f"127.0.0.1:{port}",
        "TAFFRAIL_ADMIN_ADDRESS": f"127.0.0.1:{admin}",
        "TAFFRAIL_DATA_DIR": "/var/lib/taffrail",
    }
    kept = " ".join(f"{name}={value}" for name, value in variables.items())
    env = {"ROOT": str(root), "DATA": str(data), "KEPT": kept, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    sidecar = Process("image", ["unshare", "--mount", "sh", "-c", ENTER], tmp_path, env)
    try:
        sidecar.wait_ready(f"http://127.0.0.1:{admin}/readyz", 20)
        status = open(f"/proc/{sidecar.child.pid}/status").read()
        assert re.search(r"^Uid:\s+65532\s+65532", status, re.MULTILINE)
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        for value in (1.0, 2.0, 3.0):
            body = infer_body(a=[value])
            answer = exchange(f"127.0.0.1:{port}", "POST", INFER, body, {"Content-Type": "application/json"})
            assert answer.status == 200
        assert sidecar.stop(signal.SIGTERM) == 0, sidecar.output()
    finally:
        sidecar.discard()
    assert "Read-only" not in sidecar.output() and "ermission" not in sidecar.output(), sidecar.output()
    check_archive(data / "archive", exchanges=3)
    assert not list((root / "var/lib/taffrail").iterdir()), "nothing was written beside the volume"


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path, upstream):
    """A volume of another owner is the commonest fault of a first deployment."""
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    program = shutil.copy(BINARY, tmp_path / "taffrail")
    let_in(tmp_path)
    command = ["setpriv", "--reuid", "65532", "--regid", "65532", "--clear-groups", program, "run", "--data-dir", data]
    command += ["--upstream", upstream.url, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    sidecar = Process("unwritable", command, tmp_path)
    try:
        wait_until(lambda: "Permission denied" in sidecar.output(), "it says so", 20)
        assert str(data) in sidecar.output() and sidecar.child.poll() is None, "and traffic passes all the same"
    finally:
        sidecar.discard()
