"""The container image: its build, what is in it, and a node that runs in it.

Needs root, buildah and mmdebstrap. The base image is a Debian made here, whose `cargo` only hands out the binary
that is there already: so everything in the Dockerfile runs except the compiler. Neither a container runtime nor a
registry of images is involved: buildah runs the commands in a chroot, and health checks are asked as a runtime
would ask.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from server import DEADLINE, DIST, ROOT, TARGET, Server, free_port
from test_deb import output

CARGO = """#!/bin/sh
[ "$*" = "build --locked --profile dist -p tieline-server --bin tieline" ] || exit 2
install -D /prebuilt/tieline target/dist/tieline
"""


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(dir=TARGET)
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = Path(cls.temporary.name)
        cls.make_base()
        cls.buildah("build", "--format=docker", "--build-arg=BUILD=localhost/base", "--tag=tieline",
                    f"--file={ROOT}/packaging/container/Dockerfile", str(ROOT))

    @classmethod
    def buildah(cls, *arguments):
        return output(*cls.command(*arguments))

    @classmethod
    def command(cls, *arguments):
        storage = ["--root", f"{cls.folder}/storage", "--runroot", f"{cls.folder}/run", "--storage-driver=vfs"]
        isolated = ["--isolation=chroot"] if arguments[0] in ("build", "run") else []
        return ["buildah", *storage, arguments[0], *isolated, *arguments[1:]]

    @classmethod
    def make_base(cls):
        """The base image: a Debian with the binary and a stand-in for Rust."""
        root = cls.folder / "base"
        release = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[1]
        output("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", release, str(root))
        (root / "prebuilt").mkdir()
        shutil.copy(DIST, root / "prebuilt" / "tieline")
        cargo = root / "usr" / "bin" / "cargo"
        cargo.write_text(CARGO)
        cargo.chmod(0o755)
        base = cls.buildah("from", "scratch").strip()
        cls.buildah("add", "--quiet", base, str(root), "/")
        cls.buildah("commit", "--quiet", "--rm", base, "localhost/base")
        shutil.rmtree(root)

    def container(self):
        return self.buildah("from", "localhost/tieline").strip()

    def test_it_holds_the_program_and_nothing_that_could_run_another(self):
        root = Path(self.buildah("mount", self.container()).strip())
        files = {str(Path(folder, name).relative_to(root)) for folder, _, names in os.walk(root) for name in names}
        programs = {file for file in files if os.access(root / file, os.X_OK) and not re.search(r"\.so\b", file)}
        self.assertEqual(programs, {"usr/bin/tieline"})
        self.assertIn("etc/ssl/certs/ca-certificates.crt", files)
        size = sum((root / file).lstat().st_size for file in files)
        self.assertLess(size, DIST.stat().st_size + (5 << 20))

    def test_it_runs_as_a_user_that_is_not_root_and_has_a_health_check(self):
        about = json.loads(self.buildah("inspect", "--type=image", "localhost/tieline"))["Docker"]["config"]
        self.assertEqual(about["User"], "65532:65532")
        self.assertEqual(about["Entrypoint"], ["/usr/bin/tieline"])
        self.assertEqual(about["Cmd"], ["serve"])
        self.assertEqual(about["Healthcheck"]["Test"], ["CMD", "/usr/bin/tieline", "health"])
        self.assertIn("8080/tcp", about["ExposedPorts"])

    def test_a_node_serves_and_tells_its_health_check_when_it_stops(self):
        port, container = free_port(), self.container()
        listen = f"TIELINE_LISTEN=127.0.0.1:{port}"

        def command(*arguments):
            return self.command("run", f"--env={listen}", container, "/usr/bin/tieline", *arguments)

        def health(*arguments):
            return subprocess.run(command("health", *arguments), capture_output=True, timeout=60).returncode

        self.assertEqual(health(), 1)
        with Server(command("serve"), port, stdin=subprocess.DEVNULL) as server:
            server.wait_until_ready()
            self.assertEqual(server.connect()["event"], "connected")
            self.assertEqual(health(), 0)
            # Names are resolved, which glibc does with files that it opens then.
            self.assertEqual(health(f"--url=http://localhost:{port}"), 0)
            [pid] = processes(b"/usr/bin/tieline", listen.encode())
            self.assertRegex(Path(f"/proc/{pid}/status").read_text(), r"Uid:\s+65532\s+65532\s")
            os.kill(pid, signal.SIGTERM)
            self.assertEqual(server.process.wait(DEADLINE), 0)
        self.assertEqual(health(), 1)


def processes(program, variable):
    """The processes that run this program with this variable."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if command.startswith(program + b"\0") and variable in environment.split(b"\0"):
            yield int(process.name)


if __name__ == "__main__":
    unittest.main()
