#!/usr/bin/env python3
"""What the journal keeps when disks fail and processes die.

    benches/journal_chaos.py BSM eio [READS]     an I/O error at each of the first READS reads of a start (40)
    benches/journal_chaos.py BSM kill [TIMES]    kill -9 under load, some during a backup (60)
    benches/journal_chaos.py BSM compact [TIMES] kill -9 under load while the journal is compacted (50 that hit)

`compact`: each round fills memory beyond its bound, then asks for a pruning (records emptied, rows deleted, an
incremental vacuum) or for a stop (the log is folded in), and kills at a moment of it. A kill counts when the pruning
had not been answered, or the process had not ended by itself.

BSM is the binary. `eio` needs strace. Exits 1 when something was lost, doubled or set aside. `kill` and `compact`
look at every accepted run, in the journal itself.
"""

import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
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


class Load:
    """Three clients that send runs until they are stopped. What was answered with 202 must be there at the end."""

    def __init__(self, bench):
        self.bench, self.accepted, self.number = bench, {}, 0
        self.lock = threading.Lock()

    def begin(self):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.send) for _ in range(3)]
        for t in self.threads:
            t.start()

    def send(self):
        while not self.stop.is_set():
            with self.lock:
                self.number += 1
                n = self.number
            try:
                status, body = self.bench.trigger(n, f"k{n}")
                if status == 202:
                    self.accepted[n] = json.loads(body)["runId"]
            except (OSError, http.client.HTTPException):
                return

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def judge(bench, accepted):
    """Every accepted run against the journal: lost, double, undecided, with more or less than one report."""
    engine = bench.serve()
    settle(bench)
    alerts = [a["text"] for a in json.loads(bench.request("GET", "/api/metrics")[1])["alerts"]]
    damaged = [a for a in alerts if "damaged" in a]
    engine.terminate()
    engine.wait()
    journal = sqlite3.connect(f"file:{bench.state()}/bsm.db?mode=ro", uri=True)
    rows = journal.execute("SELECT id, idempotency, finished_ms, action, report_name FROM runs").fetchall()
    ids, keys = {r[0] for r in rows}, [r[1] for r in rows]
    lost = [i for i in accepted.values() if i not in ids]
    double = len(keys) - len(set(keys)) + len(accepted) - len(set(accepted.values()))
    undecided = [r[0] for r in rows if r[2] is None or not r[3]]
    missing = [r[0] for r in rows if not (bench.ws / "reports" / r[4]).is_file()]
    reports = len(list((bench.ws / "reports").glob("*.md")))
    audited = audit_runs(bench)
    unaudited = [i for i in accepted.values() if i not in audited]
    repaired = bench.run("-C", str(bench.ws), "state", "repair").stdout
    whole = "is whole" in repaired
    print(f"{len(accepted)} runs accepted, all of them looked up: {len(lost)} lost, {double} double,")
    print(f"{len(undecided)} undecided, {len(missing)} without a report, {reports} reports for {len(rows)} runs,")
    print(f"{len(unaudited)} not in the audit trail, {len(damaged)} alerts about damage")
    print("the journal read wholly: " + ("whole" if whole else repaired))
    wrong = lost or double or undecided or missing or damaged or unaudited or reports != len(rows)
    return 1 if wrong or not whole else 0


def audit_runs(bench):
    found = set()
    for file in bench.state().glob("audit*.jsonl"):
        for line in file.read_text().splitlines():
            found.add(json.loads(line)["result"])
    return found


def kill(bench, times):
    chance, backups = random.Random(1), 0
    load = Load(bench)
    for round_ in range(times):
        engine = bench.serve()
        load.begin()
        copying = None
        if round_ % 3 == 0:
            target = bench.base / f"copy-{round_}.db"
            command = [bench.bsm, "-C", str(bench.ws), "state", "backup", str(target)]
            copying = subprocess.Popen(command, env=bench.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            backups += 1
        time.sleep(0.05 + chance.random() * 0.35)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        load.end()
        if copying:
            if chance.random() < 0.5:
                copying.kill()
            copying.wait()
    print(f"{times} kill -9 ({backups} during a backup)")
    return judge(bench, load.accepted)


ITEMS = 1200
BOUND = 50


def fill_memory(bench, number):
    """Items of three kilobytes, which the next pruning removes again: the free pages are what a vacuum moves."""
    source = bench.base / "items.jsonl"
    with open(source, "w") as out:
        for n in range(number, number + ITEMS):
            words = " ".join(f"w{n}x{k}" for k in range(300))
            out.write(json.dumps({"type": "code_review", "code": words, "review": f"review {n}"}) + "\n")
    bench.run("-C", str(bench.ws), "memory", "import", str(source))


def phase(bench):
    """How far a killed pruning had come, from a copy of what it left."""
    copy = bench.base / "phase.db"
    for end in ("", "-wal"):
        source = pathlib.Path(f"{bench.state()}/bsm.db{end}")
        if source.exists():
            shutil.copy(source, f"{copy}{end}")
    found = sqlite3.connect(copy)
    items = found.execute("SELECT count(*) FROM memory").fetchone()[0]
    free = found.execute("PRAGMA freelist_count").fetchone()[0]
    found.close()
    for end in ("", "-wal", "-shm"):
        pathlib.Path(f"{copy}{end}").unlink(missing_ok=True)
    if items > BOUND:
        return "rows not deleted yet"
    return "before or in the vacuum" if free > ITEMS // 4 else "after the vacuum"


def wait_for_deletion(bench, pruning):
    """Returns when memory is within its bound, or the pruning has ended."""
    journal = sqlite3.connect(f"file:{bench.state()}/bsm.db?mode=ro", uri=True)
    while pruning.poll() is None:
        if journal.execute("SELECT count(*) FROM memory").fetchone()[0] <= BOUND:
            break
        time.sleep(0.0005)
    journal.close()


def compact(bench, times):
    chance = random.Random(2)
    config = bench.base / "config.yaml"
    config.write_text(f"memory:\n  items: {BOUND}\n")
    bench.options = ["--config", str(config)]
    load, rounds, took = Load(bench), 0, 0.1
    hits = dict.fromkeys(("rows not deleted yet", "before or in the vacuum", "after the vacuum", "folding in"), 0)
    while sum(hits.values()) < times and rounds < times * 6:
        rounds += 1
        engine = bench.serve()
        load.begin()
        if rounds % 4:
            fill_memory(bench, rounds * ITEMS)
            command = [bench.bsm, "-C", str(bench.ws), "state", "prune"]
            pruning = subprocess.Popen(command, env=bench.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if rounds % 2:
                # The deletion is committed, and what follows is the vacuum.
                began = time.monotonic()
                wait_for_deletion(bench, pruning)
                took = time.monotonic() - began
                time.sleep(chance.random() * 0.002)
            else:
                time.sleep(took * (0.8 + chance.random() * 0.2))
            answered = pruning.poll() is not None
            engine.send_signal(signal.SIGKILL)
            engine.wait()
            load.end()
            out = pruning.communicate()[0]
            if not answered and "removed" not in out:
                hits[phase(bench)] += 1
        else:
            time.sleep(0.2)
            engine.terminate()
            time.sleep(chance.random() * 0.08)
            engine.send_signal(signal.SIGKILL)
            hits["folding in"] += engine.wait() == -signal.SIGKILL
            load.end()
    print(f"{rounds} rounds, {sum(hits.values())} kill -9 during a compaction: {json.dumps(hits)}")
    return judge(bench, load.accepted)


def main():
    cases = {"eio": (eio, 40), "kill": (kill, 60), "compact": (compact, 50)}
    if len(sys.argv) < 3 or sys.argv[2] not in cases:
        print(__doc__)
        return 2
    bench = Bench(sys.argv[1])
    case, usual = cases[sys.argv[2]]
    code = case(bench, int(sys.argv[3]) if len(sys.argv) > 3 else usual)
    shutil.rmtree(bench.base, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
