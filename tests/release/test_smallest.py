"""What an idle node takes on the smallest machine: its memory, its start, and the size of the program.

`./test.sh smallest` builds the program with the profile `dist` first.
"""

import os
import statistics
import subprocess
import time
import unittest

from server import DIST, Server, free_port

# Bytes that are resident and not of files, without connections, with two workers.
MEMORY = 8 << 20
# Seconds from the start of the process until /readyz returns 200, without a registry.
START = 0.150
# Bytes of the stripped program: 1.3 times those before metrics, the admin port and packages came (17,317,072).
SIZE = 22_512_193
RUNS = 9


class Smallest(unittest.TestCase):
    def serve(self):
        port = free_port()
        command = [DIST, "serve", "--listen", f"127.0.0.1:{port}"]
        return Server(command, port, env={"TOKIO_WORKER_THREADS": "2"})

    def test_an_idle_node_takes_little_memory(self):
        with self.serve() as server:
            server.wait_until_ready()
            # What the start has freed goes back within a second, and nothing may grow while nobody comes.
            memory = []
            for _ in range(6):
                time.sleep(0.5)
                memory.append(server.anonymous_memory())
        print(f"anonymous memory: {memory[-1] / 1024:,.0f} KiB")
        self.assertLessEqual(memory[-1], MEMORY, f"{memory}")

    def test_a_node_is_ready_at_once(self):
        starts = []
        for _ in range(RUNS):
            with self.serve() as server:
                starts.append(server.wait_until_ready())
        # A busy machine delays some starts, a slow program all of them.
        print(f"ready after {min(starts) * 1000:.0f} ms, median {statistics.median(starts) * 1000:.0f} ms")
        self.assertLessEqual(statistics.quantiles(starts)[0], START, f"{starts}")

    def test_the_program_stays_small(self):
        size = DIST.stat().st_size
        print(f"size: {size:,} bytes")
        self.assertLessEqual(size, SIZE)
        self.assertNotIn(b".symtab", subprocess.check_output(["readelf", "--sections", os.fspath(DIST)]))


if __name__ == "__main__":
    unittest.main()
