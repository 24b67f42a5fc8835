"""The checks of the soak tell a bad run from a good one."""

import json
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

import checks
import plots
from sampler import COLUMNS

MIB = 1 << 20


def sample(seconds, node, **other):
    usual = dict.fromkeys(COLUMNS, 0.1)
    usual |= {"pid": 7, "rss": 40 * MIB, "anonymous": 10 * MIB, "descriptors": 100, "connections": 80, "tasks": 110, "cpu_seconds": seconds / 10}
    return usual | {"seconds": seconds, "node": node} | other


def result(**other):
    fault = {"seconds": 90, "node": "b", "how": "SIGKILL", "ended_after": 0.1, "ready_after": 0.2}
    agreed = {"clients": 243, "nodes": 243, "registry": 243}
    latencies = [(1, kind, "a", "b", 0.01) for kind in ("group", "rest", "event")] * 300
    outcomes = {"group arrived": 300, "rest told: rest no answer": 1}
    usual = {"seconds": 300, "faults": [fault] * 2, "outcomes": outcomes, "latencies": latencies, "sockets": agreed, "empty": dict.fromkeys(agreed, 0)}
    return usual | other


class Checks(unittest.TestCase):
    def judged(self, change=lambda row: {}, **other):
        """The texts of the checks that failed."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        rows = [sample(seconds, node, **change(sample(seconds, node))) for seconds in range(5, 301, 5) for node in "abc"]
        lines = [",".join(COLUMNS), *(",".join(str(row[column]) for column in COLUMNS) for row in rows)]
        (folder / "samples.csv").write_text("\n".join(lines) + "\n")
        (folder / "result.json").write_text(json.dumps(result(**other)))
        self.folder = folder
        return [text for passed, text in checks.verdict(folder) if not passed]

    def test_a_good_run_passes_and_is_drawn(self):
        self.assertEqual(self.judged(), [])
        plots.draw(self.folder, self.folder)
        pictures = sorted(self.folder.glob("*.svg"))
        self.assertEqual(len(pictures), 4)
        for picture in pictures:
            ElementTree.parse(picture)

    def test_what_grows_fails(self):
        for column, amount in (("rss", MIB // 10), ("anonymous", MIB // 20), ("descriptors", 1), ("tasks", 1)):
            failed = self.judged(lambda row: {column: row[column] + row["seconds"] * amount})
            self.assertTrue(failed and all(column in text for text in failed), failed)

    def test_clients_that_wander_are_no_growth(self):
        self.assertEqual(self.judged(lambda row: {column: row[column] + row["seconds"] for column in ("connections", "descriptors", "tasks")}), [])

    def test_a_message_that_is_lost_or_comes_twice_fails(self):
        for outcome in ("group lost", "late twice"):
            self.assertEqual(len(self.judged(outcomes={outcome: 1})), 1)
        self.assertEqual(len(self.judged(latencies=[])), 1)

    def test_a_registry_that_differs_from_the_sockets_fails(self):
        self.assertEqual(len(self.judged(sockets={"clients": 243, "nodes": 243, "registry": 244})), 1)
        self.assertEqual(len(self.judged(empty={"clients": 0, "nodes": 1, "registry": 0})), 1)

    def test_a_node_that_is_busy_fails(self):
        self.assertEqual(len(self.judged(lambda row: {"cpu_seconds": row["seconds"]})), 3)


if __name__ == "__main__":
    unittest.main()
