#!/usr/bin/env python3
"""Whether an engine that works for long stays as small as it was.

    benches/soak.py BSM MINUTES [--low-bounds] [--interval SECONDS]

Two runs a second against `bsm serve` with the simulator, and 30 items into its memory every 10 s (simulated runs
leave none). Every 10 s it samples memory, file descriptors, threads and the bytes of journal, write-ahead log, reports, logs and audit trail; the table goes to standard output. At the
end it says for each whether it is flat, and what a year at this rate would come to.

--low-bounds sets every bound that half an hour can reach so low that it is reached at least three times (runs,
memory, reports, logs, the size of an audit file), asks for a pruning nine times, and counts how often each store
lost something. Bounds by age alone (days) cannot be reached in such a time, and are not counted.

BSM is the binary. Exits 1 when a run failed, when memory or file descriptors are not flat, or, with --low-bounds,
when a bound was reached fewer than three times.
"""

import http.client
import json
import pathlib
import re
import shutil
import statistics
import sys
import time

from journal_chaos import Bench, settle

RUNS_PER_SECOND = 2
ITEMS_PER_SAMPLE = 30
# Places enough for the simulator's slow answers: runs that queue up would be what grows.
USUAL = """\
engine:
  maxConcurrentRuns: 32
pools:
  default:
    limit: 64
"""
LOW = """\
cache:
  responses:
    maxBytes: 262144
pools:
  default:
    limit: 64
engine:
  maxConcurrentRuns: 32
  runsKept: 300
memory:
  items: 1200
reports:
  maxBytes: 524288
logs:
  maxBytes: 262144
audit:
  maxBytes: 65536
backups:
  keep: 1
"""
# What is sampled.
COLUMNS = ("rss_kB", "fds", "threads", "journal_kB", "wal_kB", "reports_kB", "logs_kB", "audit_kB", "active", "runs")
PRUNINGS = 9
YEAR_S = 365 * 86_400


def size(paths):
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total // 1024


def sample(bench, pid, done):
    state, proc = bench.state(), pathlib.Path(f"/proc/{pid}")
    status = dict(re.findall(r"^(\w+):\s+(\d+)", (proc / "status").read_text(), re.M))
    return {
        "rss_kB": int(status["VmRSS"]),
        "fds": len(list((proc / "fd").iterdir())),
        "threads": int(status["Threads"]),
        "journal_kB": size([state / "bsm.db"]),
        "wal_kB": size([state / "bsm.db-wal"]),
        "reports_kB": size((bench.ws / "reports").glob("*.md")),
        "logs_kB": size((state / "logs").glob("*")),
        "audit_kB": size(state.glob("audit*.jsonl")),
        "active": len(json.loads(bench.request("GET", "/api/runs?limit=1")[1])["active"]),
        "runs": done,
    }


def remember(bench, number):
    """Items of memory, each its own."""
    lines = []
    for n in range(number * ITEMS_PER_SAMPLE, (number + 1) * ITEMS_PER_SAMPLE):
        item = {"type": "code_review", "code": f"fn soak_{n}() {{ let v = {n * 7919}; }}", "review": f"review {n}"}
        lines.append(json.dumps(item))
    source = bench.base / "items.jsonl"
    source.write_text("\n".join(lines) + "\n")
    done = bench.run("-C", str(bench.ws), "memory", "import", str(source))
    if done.returncode:
        raise SystemExit("memory import failed: " + done.stderr)


def slope(points):
    """Least squares: units a second."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    mx, my = statistics.fmean(xs), statistics.fmean(ys)
    below = sum((x - mx) ** 2 for x in xs)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / below if below else 0.0


def verdict(samples, name):
    """Medians of the second and of the last quarter: the first is warming up."""
    quarter = max(1, len(samples) // 4)
    values = [s[name] for _, s in samples]
    early, late = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
    grown = late / early if early else 1.0
    return early, late, grown <= 1.05


def prune(bench, counts):
    """Asks for a pruning, and counts each store that lost something."""
    done = bench.run("-C", str(bench.ws), "state", "prune", "--json")
    for part in json.loads(done.stdout)["removed"]:
        counts[part["store"]] = counts.get(part["store"], 0) + 1


def drops(samples, name):
    """How often a store lost bytes from one sample to the next."""
    values = [s[name] for _, s in samples]
    return sum(later < earlier for earlier, later in zip(values, values[1:]))


def load(bench, engine, minutes, every, low):
    began = time.monotonic()
    ends, pruned, failed, sent = began + minutes * 60, {}, 0, 0
    next_sample, next_prune = began, began + minutes * 60 / (PRUNINGS + 1)
    samples = []
    print("\t".join(("seconds", *COLUMNS)), flush=True)
    while (now := time.monotonic()) < ends:
        if now >= next_sample:
            seen = sample(bench, engine.pid, sent)
            samples.append((now - began, seen))
            print("\t".join(str(v) for v in (round(now - began), *(seen[c] for c in COLUMNS))), flush=True)
            next_sample += every
            remember(bench, len(samples))
        if low and now >= next_prune:
            prune(bench, pruned)
            next_prune += minutes * 60 / (PRUNINGS + 1)
        try:
            status, _ = bench.trigger(sent, f"soak-{sent}")
        except (OSError, http.client.HTTPException):
            status = 0
        failed += status != 202
        sent += 1
        time.sleep(max(0.0, began + sent / RUNS_PER_SECOND - time.monotonic()))
    settle(bench)
    return samples, pruned, sent, failed


def report(bench, samples, sent, failed):
    seconds = samples[-1][0]
    half = samples[len(samples) // 2 :]
    print(f"\n{sent} runs in {seconds / 60:.0f} minutes, {failed} refused")
    print("what        second quarter  last quarter  flat   a year at the rate of the second half")
    flat = {}
    for name in COLUMNS[:-2]:
        early, late, flat[name] = verdict(samples, name)
        year = slope([(t, s[name]) for t, s in half]) * YEAR_S
        unit = "GB" if name.endswith("_kB") else ""
        year = f"{year / 1e6:+.2f} {unit}" if unit else f"{year:+.0f}"
        print(f"{name:11} {early:14.0f}  {late:12.0f}  {'yes' if flat[name] else 'no':5}  {year}")
    print("\nWhere a bound is, growth ends there (bsm state usage):")
    print(bench.run("-C", str(bench.ws), "state", "usage").stdout)
    return flat


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    low = "--low-bounds" in sys.argv
    every = 10.0
    if "--interval" in sys.argv:
        every = float(args.pop(2))
    if len(args) != 2:
        print(__doc__)
        return 2
    bench = Bench(args[0])
    config = bench.base / "config.yaml"
    config.write_text(LOW if low else USUAL)
    bench.options = ["--config", str(config)]
    bench.mode = "--simulate"
    engine = bench.serve()
    samples, pruned, sent, failed = load(bench, engine, float(args[1]), every, low)
    flat = report(bench, samples, sent, failed)
    code = 0 if flat["rss_kB"] and flat["fds"] and not failed else 1
    if low:
        state = bench.state()
        pruned["logs"] = drops(samples, "logs_kB")
        pruned["audit files closed"] = len(list(state.glob("audit-*.jsonl")))
        print("bounds reached:", json.dumps(pruned))
        code |= any(pruned.get(s, 0) < 3 for s in ("runs", "memory", "reports", "logs", "audit files closed"))
    engine.terminate()
    engine.wait()
    verified = bench.run("-C", str(bench.ws), "state", "repair")
    print("journal after the end:", verified.stdout.strip() or verified.stderr.strip())
    shutil.rmtree(bench.base, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
