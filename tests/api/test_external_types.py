"""The check must report every use of a foreign type in a fixture, and nothing else."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import external_types

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
LIBRARY = FIXTURES / "library.rs"
STANDARD = external_types.STANDARD


def document(folder):
    """Documents the fixture against its dependency, and returns the JSON."""
    edition = ["--edition", "2024", "-A", "warnings"]
    dependency = Path(folder) / "libhyper.rmeta"
    build = ["rustc", *edition, "--crate-type", "lib", "--emit", "metadata", "-o", dependency]
    subprocess.run([*build, FIXTURES / "hyper.rs"], check=True)
    build = [HERE / "rustdoc", *edition, "--extern", f"hyper={dependency}", "-o", folder]
    json_output = ["-Z", "unstable-options", "--output-format", "json"]
    subprocess.run([*build, *json_output, LIBRARY], check=True)
    return json.loads((Path(folder) / "library.json").read_text())


class ExternalTypes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            cls.document = document(folder)

    def violations(self, own=(), allowed=STANDARD):
        return set(external_types.violations(self.document, set(own), allowed))

    def test_every_exposed_type_is_reported_and_nothing_else(self):
        lines = LIBRARY.read_text().splitlines()
        expected = {number for number, line in enumerate(lines, 1) if line.endswith("// exposed")}
        self.assertGreater(len(expected), 25)
        self.assertEqual({line for _, line, _, _ in self.violations()}, expected)

    def test_a_violation_names_the_type_and_its_place(self):
        named = {(item, type) for _, _, item, type in self.violations()}
        self.assertIn(("input", "hyper::Body"), named)
        self.assertIn(("generic", "hyper::Service"), named)

    def test_a_crate_of_the_workspace_is_not_reported(self):
        self.assertEqual(self.violations(own={"hyper"}), set())

    def test_an_allowed_crate_is_not_reported(self):
        self.assertEqual(self.violations(allowed=STANDARD | {"hyper": ("", "")}), set())

    def test_a_crate_is_allowed_in_its_folder_only(self):
        file = os.path.commonpath([file for file, _, _, _ in self.violations()])
        self.assertEqual(self.violations(allowed=STANDARD | {"hyper": (file, "")}), set())
        elsewhere = STANDARD | {"hyper": ("crates/other/src/", "")}
        self.assertEqual(self.violations(allowed=elsewhere), self.violations())


if __name__ == "__main__":
    unittest.main()
