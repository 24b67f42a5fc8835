"""Each crate must be complete as a package, and the lists that repeat test.sh must match it.

`./test.sh package` makes the archives in target/package before it runs these tests.
"""

import json
import os
import re
import subprocess
import tarfile
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DOCS_RS = {"all-features": True, "rustdoc-args": ["--cfg", "docsrs"]}


def output(*command):
    return subprocess.check_output(command, cwd=ROOT, text=True)


def packages():
    """The metadata of each crate that can be published."""
    metadata = output("cargo", "metadata", "--format-version=1", "--no-deps", "--offline")
    return [package for package in json.loads(metadata)["packages"] if package["publish"] != []]


def toml(path):
    return tomllib.loads((ROOT / path).read_text())


class Packages(unittest.TestCase):
    def test_each_crate_has_the_metadata_that_a_registry_shows(self):
        for package in packages():
            with self.subTest(package["name"]):
                for field in ("description", "license", "readme", "rust_version", "categories"):
                    self.assertTrue(package[field], field)
                # The registry refuses more than five keywords, and longer ones.
                self.assertIn(len(package["keywords"]), range(1, 6))
                self.assertLessEqual(max(map(len, package["keywords"])), 20)

    def test_the_documentation_of_each_library_covers_all_features(self):
        for package in packages():
            if any("lib" in target["kind"] for target in package["targets"]):
                with self.subTest(package["name"]):
                    docs = (package["metadata"] or {}).get("docs", {}).get("rs")
                    self.assertEqual(docs, DOCS_RS)

    def test_each_archive_contains_readme_and_licence(self):
        for package in packages():
            stem = f"{package['name']}-{package['version']}"
            with self.subTest(stem), tarfile.open(TARGET / "package" / f"{stem}.crate") as archive:
                names = archive.getnames()
                self.assertIn(f"{stem}/README.md", names)
                self.assertIn(f"{stem}/LICENSE", names)

    def test_readmes_contain_no_relative_links(self):
        for package in packages():
            with self.subTest(package["name"]):
                readme = Path(package["manifest_path"]).with_name("README.md").read_text()
                links = re.findall(r"\]\(([^)]*)\)", readme)
                self.assertEqual([link for link in links if "://" not in link], [])


class Repository(unittest.TestCase):
    def test_the_pinned_toolchain_is_the_minimum_supported_version(self):
        channel = toml("rust-toolchain.toml")["toolchain"]["channel"]
        minimum = toml("Cargo.toml")["workspace"]["package"]["rust-version"]
        self.assertEqual(channel, f"{minimum}.0")

    def test_the_justfile_has_a_recipe_for_each_part(self):
        lists = output("./test.sh", "--list") + output("./test.sh", "--list", "--release")
        parts = [line.split()[0] for line in lists.splitlines()]
        justfile = (ROOT / "justfile").read_text()
        recipes = re.findall(r"^([a-z-]+):\n    (.+)$", justfile, re.MULTILINE)
        expected = [("default", "@just --list --unsorted")]
        expected += [(name, f"./test.sh --{name}") for name in ("quick", "release")]
        self.assertEqual(recipes, expected + [(part, f"./test.sh {part}") for part in parts])

    def test_contributing_describes_each_part(self):
        contributing = (ROOT / "CONTRIBUTING.md").read_text()
        for line in (output("./test.sh", "--list") + output("./test.sh", "--list", "--release")).splitlines():
            with self.subTest(line):
                self.assertIn(f"`{line.split()[0]}`", contributing)

    def test_the_changelog_has_the_changes_of_the_version(self):
        version = toml("Cargo.toml")["workspace"]["package"]["version"]
        headings = re.findall(r"^## \[([^]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
        self.assertEqual(headings[0], ("Unreleased", ""))
        released = dict(headings[1:])
        self.assertTrue(all(released.values()), "each release has its date")
        # A version that is tagged has a section; one that is not may have its changes below Unreleased.
        tags = output("git", "tag", "--list", "v*").split()
        if f"v{version}" in tags:
            self.assertIn(version, released)

    def test_all_crates_and_the_chart_have_one_version(self):
        version = toml("Cargo.toml")["workspace"]["package"]["version"]
        self.assertEqual({package["version"] for package in packages()}, {version})
        dependencies = toml("Cargo.toml")["workspace"]["dependencies"]
        own = {name: entry["version"] for name, entry in dependencies.items() if isinstance(entry, dict) and "path" in entry and "version" in entry}
        self.assertEqual(set(own.values()), {version}, own)
        chart = (ROOT / "packaging/helm/tieline/Chart.yaml").read_text()
        self.assertEqual(set(re.findall(r"^(?:appV|v)ersion: (.+)$", chart, re.MULTILINE)), {version})


if __name__ == "__main__":
    unittest.main()
