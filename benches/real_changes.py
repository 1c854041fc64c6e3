#!/usr/bin/env python3
"""How often harmless changes of real repositories are approved, and why the others are not.

usage: real_changes.py BSM REPOSITORY... [--each N] [--all-documents]

BSM is the binary; each REPOSITORY is a folder or a bare git directory with its history. The newest commits of
each are reviewed one by one: those that change code, with a model that approves everything (a server of this
script's own), and those that change nothing but words of documents, without a model. Which these are is found
without BSM: no changed word has a mark of code, a link or a tag in it, and none stands in a code block. With
--all-documents it is every change of nothing but documents, whatever changes in them. Prints both counts and,
for every change that is not approved, its commit, cause and first finding. Needs git; sends nothing anywhere.
"""
import argparse
import collections
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading

PROSE = (".md", ".rst", ".adoc", ".txt")
# Changes of these need a person whatever the code is like.
GOVERNED = ("Cargo.toml", "Cargo.lock", "go.mod", "go.sum", "package.json", "pyproject.toml", "setup.cfg",
            "uv.lock", "LICENSE", "LICENSE-MIT", "COPYING")


class Approves(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        size = int(self.headers.get("content-length", 0))
        self.rfile.read(size)
        verdict = json.dumps({"decision": "approve", "score": 90, "comments": []})
        body = json.dumps({
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": verdict}}],
            "usage": {"prompt_tokens": size // 4 + 1, "completion_tokens": 12},
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def git(repo, *args):
    done = subprocess.run(["git", "-C", repo, *args], capture_output=True, text=True, errors="replace")
    return done.stdout


def changes_words_alone(repo, commit):
    shown = git(repo, "show", "--format=", "--no-renames", "--word-diff=porcelain",
                "--word-diff-regex=[^[:space:]]+", "-U100000", commit)
    fenced = False
    for line in git(repo, "show", "--format=", "--no-renames", "-U100000", commit).split("\n"):
        if line.startswith(("diff --git", "index ", "--- ", "+++ ", "@@")):
            fenced = False
        elif line[1:].lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif line[:1] in ("+", "-") and (fenced or line[1:].startswith(("\t", "   ", ".. ", ":", "go ", "$ ")) or not line[1:].strip()):
            return False
    if "\ndeleted file" in shown or "\nnew file" in shown or "\nsimilarity" in shown:
        return False
    code = False
    for line in shown.split("\n"):
        if line.startswith(("diff --git", "index ", "--- ", "+++ ", "@@")):
            code = False
            continue
        mark, text = line[:1], line[1:]
        if text.lstrip().startswith(("```", "~~~")):
            code = not code
            if mark != " ":
                return False
        if mark in "+-" and mark and (code or re.search(r"[`<>\[\]{}=$|\\]|//|\w@\w|::|\w\.(com|org|io|sh|html)\b",
                                                         text)):
            return False
        if mark in "+-" and mark and (text.startswith("    ") or set(text) <= set("-=~^* ")):
            return False
    return True


def is_document(path):
    name = path.split("/")[-1].lower()
    return not path.startswith(".") and not name.startswith(("security", "licen", "agents", "claude"))


def commits(repo, documents, count, whatever):
    found = []
    for commit in git(repo, "log", "--no-merges", "-n", "3000", "--format=%H").split():
        files = [f for f in git(repo, "show", "--name-only", "--format=", commit).split("\n") if f]
        if not files:
            continue
        prose = all(f.endswith(PROSE) for f in files)
        governed = any(f.startswith(".github/") or f.split("/")[-1] in GOVERNED for f in files)
        if documents and prose:
            prose = whatever or (all(map(is_document, files)) and changes_words_alone(repo, commit))
        if prose == documents and not (governed and not documents):
            found.append(commit)
        if len(found) == count:
            break
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("bsm")
    arguments.add_argument("repositories", nargs="+")
    arguments.add_argument("--each", type=int, default=20)
    arguments.add_argument("--all-documents", action="store_true")
    given = arguments.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Approves)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = tempfile.mkdtemp()
    offline = {"PATH": os.environ["PATH"], "HOME": home}
    model = dict(offline, OPENAI_API_KEY="x" * 20,
                 OPENAI_BASE_URL=f"http://127.0.0.1:{server.server_port}/v1")
    for documents in (False, True):
        approved, total, causes, others = 0, 0, collections.Counter(), []
        for repo in given.repositories:
            for commit in commits(repo, documents, given.each, given.all_documents):
                done = subprocess.run(
                    [os.path.abspath(given.bsm), "review", "--no-save", "--json", "--repo", repo,
                     f"{commit}^..{commit}"],
                    cwd=home, env=offline if documents else model, capture_output=True, text=True)
                if not done.stdout:
                    continue
                run = json.loads(done.stdout)
                total += 1
                if run["decision"]["action"] == "approve_and_merge":
                    approved += 1
                    continue
                causes[run["decision"]["cause"]] += 1
                why = (run["documentation"].get("obstacle") if documents else run["decision"]["reason"])
                subject = git(repo, "log", "-1", "--format=%s", commit).strip()
                others.append((commit[:10], subject[:60], run["decision"]["cause"], why))
        what = "words of documents, without a model" if documents else "code, with a model that approves"
        print(f"{what}: {approved} of {total} approved; {dict(causes)}")
        for other in others:
            print("  ", *other, sep=" | ")


if __name__ == "__main__":
    main()
