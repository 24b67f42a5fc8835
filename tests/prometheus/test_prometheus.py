"""The alerts and the dashboard of `packaging/`, against two nodes and a real Prometheus.

The nodes have clients, a backend and an event handler, so that nearly every metric has series. Then each query of the
dashboard must have an answer, and each alert must be made of metrics that there are, and be quiet.
"""

import itertools
import json
import re
import subprocess
import unittest

from processes import ROOT, RULES, Node, Prometheus, event_handler, eventually, redis, send

DASHBOARD = json.loads((ROOT / "packaging/grafana/tieline.json").read_text())

METRIC = re.compile(r"\b(?:tieline|process)_[a-z_]+\b|\bup\b")


def targets():
    """The queries of the panels."""
    return [
        (panel["title"], target["expr"])
        for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
    ]


class Files(unittest.TestCase):
    """What can be said without a server."""

    def test_promtool_accepts_the_rules_and_their_tests(self):
        for arguments in (["check", "rules", RULES], ["test", "rules", RULES.with_suffix(".test.yml")]):
            done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_panels_have_queries_and_do_not_overlap(self):
        panels = DASHBOARD["panels"]
        ids = [panel["id"] for panel in panels]
        self.assertEqual(len(ids), len(set(ids)))
        cells = [
            (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
            for panel in panels
            for x, y in itertools.product(range(panel["gridPos"]["w"]), range(panel["gridPos"]["h"]))
        ]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertLess(max(x for x, _ in cells), 24)
        variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
        for panel in panels:
            if panel["type"] == "row":
                continue
            self.assertTrue(panel["title"] and panel["targets"], panel)
            for target in panel["targets"]:
                used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
                self.assertLessEqual(used, variables, target)
                self.assertEqual(target["datasource"]["uid"], "${datasource}")
                self.assertIn('job=~"$job"', target["expr"])


class Scraped(unittest.TestCase):
    """Two nodes, and a Prometheus that scrapes them."""

    @classmethod
    def setUpClass(cls):
        registry, handler = redis(cls), event_handler(cls)
        cls.nodes = [Node(cls, registry, handler) for _ in range(2)]
        cls.prometheus = Prometheus(cls, cls.nodes)
        cls.clients = []
        for node in cls.nodes:
            client, status = node.connect()
            assert status == 101, status
            # An event, for which the client has no role.
            send(client, "hello")
            cls.clients.append(client)
            cls.addClassCleanup(client.close)
            refused, status = node.connect("?access_token=none")
            refused.close()
            assert status == 401, status
            assert node.get("/api/none") == 404
        # A rate needs two scrapes, and all that is asked for counts by then.
        eventually("the nodes are linked and scraped", lambda: len(cls.prometheus.query(
            "tieline_link_round_trip_seconds and on (instance) rate(tieline_messages_received_total[10s]) >= 0"
        )) == 2)
        for metric in ("tieline_webhook_calls_total", "tieline_rest_requests_total", "tieline_upgrades_refused_total"):
            eventually(metric, lambda metric=metric: len(cls.prometheus.query(
                f"count by (instance) (count_over_time({metric}[30s]) > 1)"
            )) == 2)

    def test_both_nodes_are_scraped_with_the_token(self):
        up = self.prometheus.query("up == 1")
        self.assertEqual(len(up), 2, up)

    def test_every_query_of_the_dashboard_has_an_answer(self):
        for title, expression in targets():
            for name, value in (("$__rate_interval", "30s"), ("$job", "tieline"), ("$instance", ".*")):
                expression = expression.replace(name, value)
            with self.subTest(panel=title, query=expression):
                self.assertTrue(self.prometheus.query(expression))

    def test_every_alert_is_of_metrics_that_there_are_and_quiet(self):
        names = set(self.prometheus.ask("label/__name__/values"))
        groups = self.prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertEqual(len(rules), RULES.read_text().count("- alert:"))
        for rule in rules:
            with self.subTest(alert=rule["name"]):
                self.assertEqual(rule["health"], "ok", rule)
                self.assertTrue(rule["annotations"]["summary"] and rule["annotations"]["action"])
                metrics = METRIC.findall(rule["query"])
                self.assertTrue(metrics)
                self.assertLessEqual(set(metrics), names)
                self.assertEqual(self.prometheus.query(rule["query"]), [])


if __name__ == "__main__":
    unittest.main()
