"""The Debian package, from its installation to its purge, in a Debian of its own.

Needs root, mmdebstrap, systemd (for systemd-analyze) and strace. `./test.sh deb` makes the package first.
systemd itself is not run: the test starts what the unit says, as the user that it says.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from server import DEADLINE, ROOT, TARGET, Server, free_port

UNIT = ROOT / "packaging" / "deb" / "tieline.service"
CONFIG = "etc/tieline/tieline.toml"
# What Debian's own programs leave there.
OTHERS = re.compile(r"(var/(cache|log|backups|lib/(apt|dpkg|systemd))|run|tmp|proc|sys|dev)(/|$)|etc/(passwd|group|g?shadow)-$")


def output(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def unit(key):
    """The values of a key of the unit, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def syscalls(*names):
    """The system calls of sets such as @system-service."""
    calls = set()
    for line in output("systemd-analyze", "syscall-filter", "--no-pager", *names).splitlines():
        word = line.strip()
        if word.startswith("@") and line.startswith(" "):
            calls |= syscalls(word)
        elif re.fullmatch(r"[a-z0-9_]+", word):
            calls.add(word)
    return calls


class Debian:
    """A Debian in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *command):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        return output("chroot", self.folder, *command, env=environment, stdin=subprocess.DEVNULL)

    def install(self, package):
        shutil.copy(package, self.folder / "tmp" / "tieline.deb")
        options = ["--yes", "--no-install-recommends", "--allow-downgrades", "-oDpkg::Options::=--force-confold"]
        self.run("apt-get", "install", *options, "/tmp/tieline.deb")

    def files(self):
        """All paths except those that other programs change."""
        walked = (Path(folder) / name for folder, folders, files in os.walk(self.folder) for name in folders + files)
        paths = (str(path.relative_to(self.folder)) for path in walked)
        return {path for path in paths if not OTHERS.match(path)}

    def owner_and_mode(self, path):
        return self.run("stat", "--format", "%U:%G %a", f"/{path}").strip()

    def as_service(self):
        """The command that the unit starts, as its user and group."""
        [start], [user], [group] = unit("ExecStart"), unit("User"), unit("Group")
        return ["chroot", f"--userspec={user}:{group}", str(self.folder), *shlex.split(start)]


def newer(package, folder):
    """The same package with a higher version, and another default in its configuration."""
    tree, built = folder / "tree", folder / "newer.deb"
    output("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 99.0-1", control.read_text()))
    with (tree / CONFIG).open("a") as file:
        file.write("\n# An option of a later version.\n")
    output("dpkg-deb", "--build", "-Zgzip", "-z1", tree, built)
    return built


class Package(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        [cls.package] = (TARGET / "debian").glob("tieline_*.deb")
        cls.temporary = tempfile.TemporaryDirectory(dir=TARGET)
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = Path(cls.temporary.name)
        cls.debian = Debian(cls.folder / "debian")
        release = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())[1]
        output("mmdebstrap", "--quiet", "--variant=apt", "--include=adduser,systemd", release, cls.debian.folder)

    def serve(self, *tracer):
        """Starts the service, after an administrator has chosen a free port."""
        port = free_port()
        config = self.debian.folder / CONFIG
        config.write_text(re.sub(r"(?m)^#?listen = .*$", f'listen = "127.0.0.1:{port}"', config.read_text(), count=1))
        return Server([*tracer, *self.debian.as_service()], port, env={"PATH": os.environ["PATH"]})

    def check_that_it_serves(self):
        with self.serve() as server:
            server.wait_until_ready()
            self.assertEqual(server.connect()["event"], "connected")
            self.assertEqual(server.stop(), 0)

    def test_from_installation_to_purge(self):
        debian, before = self.debian, self.debian.files()
        debian.install(self.package)
        self.check_installed()
        self.check_that_it_serves()
        self.check_system_calls()
        self.check_unit()

        edited = (debian.folder / CONFIG).read_text()
        debian.install(newer(self.package, self.folder))
        self.assertEqual(debian.run("dpkg-query", "--show", "--showformat=${Version}", "tieline"), "99.0-1")
        self.assertEqual((debian.folder / CONFIG).read_text(), edited)
        self.assertIn("later version", (debian.folder / f"{CONFIG}.dpkg-dist").read_text())
        self.check_that_it_serves()

        edited = (debian.folder / CONFIG).read_text()
        debian.install(self.package)
        self.assertEqual((debian.folder / CONFIG).read_text(), edited)
        self.check_that_it_serves()

        debian.run("apt-get", "remove", "--yes", "tieline")
        self.assertTrue((debian.folder / CONFIG).exists())
        debian.run("apt-get", "purge", "--yes", "tieline")
        self.assertEqual(debian.files() - before, set())
        self.assertNotIn("tieline", (debian.folder / "etc/passwd").read_text() + (debian.folder / "etc/group").read_text())

    def check_installed(self):
        debian = self.debian
        self.assertEqual(debian.owner_and_mode("etc/tieline"), "root:tieline 750")
        self.assertEqual(debian.owner_and_mode(CONFIG), "root:tieline 640")
        user = debian.run("getent", "passwd", "tieline").strip().split(":")
        self.assertEqual(user[5:], ["/nonexistent", "/usr/sbin/nologin"])
        self.assertIn("etc/systemd/system/multi-user.target.wants/tieline.service", debian.files())
        for path in (
            "man/man1/tieline-serve.1.gz",
            "bash-completion/completions/tieline",
            "zsh/vendor-completions/_tieline",
            "fish/vendor_completions.d/tieline.fish",
            "doc/tieline/copyright",
        ):
            self.assertIn(f"usr/share/{path}", debian.files())
        self.assertEqual(debian.run("tieline", "config", "check", f"/{CONFIG}"), "ok\n")

    def check_unit(self):
        installed = next(self.debian.folder.glob("usr/lib/systemd/system/tieline.service"))
        self.assertEqual(installed.read_text(), UNIT.read_text())
        root = f"--root={self.debian.folder}"
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", root, "tieline.service"], capture_output=True, text=True)
        complaints = [line for line in verified.stderr.splitlines() if "tieline" in line]
        self.assertEqual((verified.returncode, complaints), (0, []), verified.stderr)
        output("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=25", installed)

    def check_system_calls(self):
        """The filter of the unit lets the server do what it does while it starts, serves and ends."""
        allowed, forbidden = unit("SystemCallFilter")
        allowed = syscalls(*allowed.split()) - syscalls(*forbidden.removeprefix("~").split())
        log = self.folder / "syscalls"
        with self.serve("strace", "-f", "-qq", "-o", str(log)) as server:
            server.wait_until_ready()
            server.connect()
            tracee = int(log.read_text().split(maxsplit=1)[0])
            os.kill(tracee, signal.SIGTERM)
            self.assertEqual(server.process.wait(DEADLINE), 0)
        # What chroot does comes before.
        _, _, own = log.read_text().partition('execve("/usr/bin/tieline"')
        used = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", own, re.MULTILINE))
        self.assertIn("accept4", used)
        self.assertEqual(used - allowed, set())


if __name__ == "__main__":
    unittest.main()
