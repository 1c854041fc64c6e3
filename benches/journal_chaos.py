#!/usr/bin/env python3
"""What the journal keeps when disks fail and processes die.

    benches/journal_chaos.py BSM eio [READS]     an I/O error at each of the first READS reads of a start (40)
    benches/journal_chaos.py BSM kill [TIMES]    kill -9 under load, some during a backup (60)

BSM is the binary. `eio` needs strace. Exits 1 when something was lost, doubled or set aside.
"""

import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOKEN = "chaos-admin-token-0123456789"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, bsm):
        self.bsm = os.path.abspath(bsm)
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="bsm-chaos-"))
        self.ws = self.base / "ws"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.base / "home"),
            "XDG_STATE_HOME": str(self.base / "state"),
            "ADMIN_TOKEN": TOKEN,
            "RATE_LIMIT_MAX": "0",
        }
        (self.base / "home").mkdir()
        # How the engine runs: its mode, and options before the command.
        self.mode, self.options = "--offline", []
        self.run("init", str(self.ws))
        self.port = free_port()

    def run(self, *args, pre=()):
        return subprocess.run(
            [*pre, self.bsm, *args], env=self.env, capture_output=True, text=True, cwd=self.base
        )

    def serve(self):
        log = open(self.base / "serve.log", "ab")
        args = [self.bsm, "-C", str(self.ws), *self.options, "serve", self.mode, "--allow-root"]
        args += ["--listen", f"127.0.0.1:{self.port}"]
        process = subprocess.Popen(args, env=self.env, stdout=log, stderr=log, cwd=self.base)
        until = time.time() + 20
        while time.time() < until:
            try:
                if self.request("GET", "/health")[0] == 200:
                    return process
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
        raise SystemExit("the engine does not answer: " + (self.base / "serve.log").read_text()[-400:])

    def request(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"x-admin-token": TOKEN, "content-type": "application/json"}
        try:
            c.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = c.getresponse()
            return answer.status, answer.read()
        finally:
            c.close()

    def trigger(self, n, key):
        diff = (
            f"diff --git a/a{n}.py b/a{n}.py\nindex 1111111..2222222 100644\n--- a/a{n}.py\n"
            f"+++ b/a{n}.py\n@@ -1,2 +1,3 @@\n import os\n+v_{n} = {n}\n x = 1\n"
        )
        body = {"event": "pull_request.opened", "payload": {"n": n}, "diff": diff, "idempotencyKey": key}
        return self.request("POST", "/api/orchestrator/run", body)

    def state(self):
        return next(p for p in (self.base / "state" / "bsm").iterdir() if p.is_dir())

    def runs(self):
        listed = self.run("-C", str(self.ws), "runs", "--json", "--limit", "1000")
        found = json.loads(listed.stdout)
        return {r["id"]: r for r in (found["runs"] if isinstance(found, dict) else found)}


def settle(bench):
    """Waits until no run is under way."""
    until = time.time() + 90
    while time.time() < until:
        if not json.loads(bench.request("GET", "/api/runs?limit=1")[1])["active"]:
            return
        time.sleep(0.1)


def eio(bench, reads):
    engine = bench.serve()
    for n in range(40):
        bench.trigger(n, f"k{n}")
    settle(bench)
    engine.kill()  # the write-ahead log stays
    engine.wait()
    state = bench.state()
    kept = bench.base / "kept"
    shutil.copytree(state, kept, ignore=shutil.ignore_patterns("*.sock"))
    expected = len(bench.runs())
    faults = refused = passed = 0
    for mode, last in (("once", ""), ("from then on", "+")):
        for n in range(1, reads + 1):
            shutil.rmtree(state)
            shutil.copytree(kept, state)
            inject = f"inject=pread64,read,readv,preadv:error=EIO:when={n}{last}"
            names = [a for end in ("", "-wal", ".head") for a in ("-P", f"{state}/bsm.db{end}")]
            trace = ["strace", "-f", "-qq", "-o", str(bench.base / "trace"), *names]
            trace += ["-e", "trace=pread64,read,readv,preadv", "-e", inject]
            done = bench.run("-C", str(bench.ws), "state", "repair", pre=trace)
            if "INJECTED" not in (bench.base / "trace").read_text():
                continue
            faults += 1
            refused += done.returncode != 0
            passed += done.returncode == 0
            aside = [f for f in os.listdir(state) if "damaged" in f or "corrupt" in f or "replaced" in f]
            after = bench.run("-C", str(bench.ws), "state", "repair")
            found = len(bench.runs())
            if aside or found != expected or "whole" not in after.stdout:
                print(f"FAILED at read {n} ({mode}): {aside} {found} of {expected} {after.stdout}{done.stderr}")
                return 1
    print(f"{faults} starts with a read error: {refused} refused, {passed} went on after a retry;")
    print(f"set aside 0; all {expected} runs there afterwards, each time")
    return 0


def kill(bench, times):
    chance = random.Random(1)
    accepted, number, backups = {}, 0, 0
    state = None
    for round_ in range(times):
        engine = bench.serve()
        state = state or bench.state()
        stop = threading.Event()

        def load():
            nonlocal number
            while not stop.is_set():
                number += 1
                n = number
                try:
                    status, body = bench.trigger(n, f"k{n}")
                    if status == 202:
                        accepted[n] = json.loads(body)["runId"]
                except (OSError, http.client.HTTPException):
                    return

        threads = [threading.Thread(target=load) for _ in range(3)]
        for t in threads:
            t.start()
        copying = None
        if round_ % 3 == 0:
            target = bench.base / f"copy-{round_}.db"
            command = [bench.bsm, "-C", str(bench.ws), "state", "backup", str(target)]
            copying = subprocess.Popen(command, env=bench.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            backups += 1
        time.sleep(0.05 + chance.random() * 0.35)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        stop.set()
        for t in threads:
            t.join()
        if copying:
            if chance.random() < 0.5:
                copying.kill()
            copying.wait()
    engine = bench.serve()
    settle(bench)
    listed = set(bench.runs())
    newest = [i for n, i in sorted(accepted.items())][-900:]
    lost = [i for i in newest if i not in listed]
    undecided = [i for i, r in bench.runs().items() if not r.get("action")]
    reports = len(list((bench.ws / "reports").glob("*.md")))
    alerts = [a["text"] for a in json.loads(bench.request("GET", "/api/metrics")[1])["alerts"]]
    damaged = [a for a in alerts if "damaged" in a]
    engine.terminate()
    engine.wait()
    print(f"{times} kill -9 ({backups} during a backup): {len(accepted)} runs accepted, {len(lost)} lost,")
    print(f"{len(undecided)} undecided, {reports} reports, {len(damaged)} alerts about damage")
    return 1 if lost or undecided or damaged else 0


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in ("eio", "kill"):
        print(__doc__)
        return 2
    bench = Bench(sys.argv[1])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else None
    code = eio(bench, count or 40) if sys.argv[2] == "eio" else kill(bench, count or 60)
    shutil.rmtree(bench.base, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
