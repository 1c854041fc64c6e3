"""Runs real clients through the gateway, against a provider of our own, and prints a table.

    python3 benches/clients/run.py [--bsm target/debug/bsm] [--work DIR] [--write] [NAME…]

Clients are installed into DIR (a folder of the system's temporary files where none is given), from PyPI and
npm, in the versions that `requirements.txt` and `package.json` pin. Each client has a task: use the one tool
that the model asks for, then say the model's sentence. Each does it twice: with a provider that is well, and
with a primary that answers 500 and a written fallback. `--write` puts the table into docs/gateway.md.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEY = "clients-key-0123456789"
SENTENCE = "The gateway carried it."


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(url):
    for _ in range(200):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except urllib.error.HTTPError:
            return b""
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


class Lab:
    """Two providers and an engine whose gateway stands before them."""

    def __init__(self, bsm, work):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clients-"))
        self.children = []
        self.log = self.folder / "provider.log"
        ports = {"well": free_port(), "down": free_port()}
        for name, mode in (("well", "ok"), ("down", "fail")):
            self.start([sys.executable, str(HERE / "provider.py"), str(ports[name]), name, mode, str(self.log)])
        home = self.folder / "home"
        config = home / ".config" / "bsm"
        config.mkdir(parents=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "CLIENTS_KEY": KEY}
        workspace = str(self.folder / "workspace")
        pathlib.Path(workspace).mkdir()
        subprocess.run([bsm, "init"], env=env, check=True, stdout=subprocess.DEVNULL, cwd=workspace)
        agents = self.folder / "workspace" / "agents"
        wires = "[chat, completions, embeddings, responses, messages, gemini]"
        (agents / "models.yaml").write_text(
            "version: 1\nproviders:\n"
            + "".join(f"  {n}: {{kind: chat, baseUrl: 'http://127.0.0.1:{p}/v1', wires: {wires}}}\n"
                      for n, p in ports.items())
            + "  chat-only: {kind: chat, baseUrl: 'http://127.0.0.1:%d/v1'}\n" % ports["well"]
            + "models:\n"
            + "  well: {provider: well}\n  down: {provider: down}\n  translated: {provider: chat-only}\n"
            + "fallbacks: {down: [well]}\ndefault: well\n")
        self.port = free_port()
        (config / "config.yaml").write_text(
            f"api:\n  listen: 127.0.0.1:{self.port}\n  gatewayTokens: [{{name: clients, tokenEnv: CLIENTS_KEY}}]\n"
            "breaker: {failures: 1000, failureRate: 1.0, minimumCalls: 100000}\nretry: {baseMs: 5}\n")
        subprocess.run([bsm, "trust", workspace], env=env, check=True, stdout=subprocess.DEVNULL)
        root = ["--allow-root"] if os.geteuid() == 0 else []
        self.start([bsm, "-C", workspace, "serve", *root], env=env)
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(f"{self.url}/api/health")
        self.work = work

    def start(self, command, env=None):
        out = open(self.folder / "children.log", "ab")
        self.children.append(subprocess.Popen(command, env=env, stdout=out, stderr=out))

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def asked(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


def environment(lab, folder):
    """No client finds the settings or keys of whoever runs this."""
    keep = {k: os.environ[k] for k in ("PATH", "LANG", "SSL_CERT_FILE") if k in os.environ}
    return {**keep, "HOME": str(folder), "NO_PROXY": "127.0.0.1", "CI": "1", "KEY": KEY, "URL": lab.url,
            "SENTENCE": SENTENCE}


def python(lab, script):
    return [str(lab.work / "venv" / "bin" / "python"), str(HERE / "tasks" / script)]


def node(lab, script):
    target = lab.work / script
    shutil.copy(HERE / "tasks" / script, target)
    return ["node", str(target)]


def claude(lab, model, folder, env):
    env.update(ANTHROPIC_BASE_URL=lab.url, ANTHROPIC_AUTH_TOKEN=KEY, ANTHROPIC_MODEL=model,
               ANTHROPIC_SMALL_FAST_MODEL=model, ANTHROPIC_DEFAULT_HAIKU_MODEL=model, DISABLE_TELEMETRY="1",
               CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_AUTOUPDATER="1")
    return [str(lab.work / "node_modules/.bin/claude"), "-p", "write the file", "--allowedTools", "Bash",
            "--model", model]


def codex(lab, model, folder, env):
    env["CODEX_HOME"] = str(folder / ".codex")
    (folder / ".codex").mkdir(exist_ok=True)
    provider = f'{{name="bsm", base_url="{lab.url}/v1", env_key="KEY", wire_api="responses"}}'
    return [str(lab.work / "node_modules/.bin/codex"), "exec", "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox", "-c", 'model_provider="bsm"',
            "-c", f"model_providers.bsm={provider}", "-m", model, "write the file"]


def opencode(lab, model, folder, env):
    config = {"$schema": "x", "provider": {"bsm": {
        "npm": "@ai-sdk/openai-compatible", "name": "bsm",
        "options": {"baseURL": f"{lab.url}/v1", "apiKey": KEY}, "models": {model: {"name": model}}}}}
    (folder / "opencode.json").write_text(json.dumps(config))
    return [str(lab.work / "node_modules/.bin/opencode"), "run", "-m", f"bsm/{model}", "write the file"]


def task(script):
    def command(lab, model, _folder, env):
        env["MODEL"] = model
        return python(lab, script) if script.endswith(".py") else node(lab, script)
    return command


# Name, package, protocol, command, whether the tool is a shell.
CLIENTS = [
    ("Claude Code", "npm @anthropic-ai/claude-code", "Messages", claude, True),
    ("Codex CLI", "npm @openai/codex", "Responses", codex, True),
    ("OpenCode", "npm opencode-ai", "chat", opencode, True),
    ("OpenAI SDK, Python", "pypi openai", "chat, Responses, embeddings", task("openai_sdk.py"), False),
    ("OpenAI SDK, Node", "npm openai", "chat, Responses", task("openai_sdk.mjs"), False),
    ("Anthropic SDK, Python", "pypi anthropic", "Messages", task("anthropic_sdk.py"), False),
    ("Anthropic SDK, Node", "npm @anthropic-ai/sdk", "Messages", task("anthropic_sdk.mjs"), False),
    ("Google GenAI SDK, Python", "pypi google-genai", "Gemini", task("google_sdk.py"), False),
    ("Vercel AI SDK", "npm ai", "Responses, Messages", task("vercel_ai.mjs"), False),
    ("LangChain", "pypi langchain-openai", "chat", task("langchain_task.py"), False),
    ("LiteLLM SDK", "pypi litellm", "chat, Messages", task("litellm_task.py"), False),
]


def version(lab, package):
    source, name = package.split()
    if source == "npm":
        file = lab.work / "node_modules" / name / "package.json"
        return json.loads(file.read_text())["version"] if file.exists() else None
    show = subprocess.run([str(lab.work / "venv/bin/python"), "-m", "pip", "show", name], capture_output=True, text=True)
    found = re.search(r"^Version: (.*)$", show.stdout, re.M)
    return found.group(1) if found else None


def run_one(lab, client, model):
    name, _, _, command, shell = client
    folder = pathlib.Path(tempfile.mkdtemp(prefix="client-", dir=lab.folder))
    env = environment(lab, folder)
    before = len(lab.asked())
    began = time.time()
    done = subprocess.run(command(lab, model, folder, env), cwd=folder, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=240)
    said = done.stdout + done.stderr
    failures = []
    if done.returncode != 0:
        failures.append(f"exit {done.returncode}")
    if SENTENCE not in said:
        failures.append("the sentence is missing")
    if shell and not (folder / "proof.txt").exists():
        failures.append("the tool made no file")
    asked = lab.asked()[before:]
    if model == "down" and not any(a["at"] == "down" for a in asked):
        failures.append("the primary was not asked")
    if failures:
        print(f"--- {name} with {model}: {', '.join(failures)}\n{said[-2500:]}", file=sys.stderr)
    return ("passed" if not failures else ", ".join(failures)), time.time() - began


def install(work):
    if not (work / "venv").exists():
        subprocess.run([sys.executable, "-m", "venv", str(work / "venv")], check=True)
        subprocess.run([str(work / "venv/bin/pip"), "install", "-q", "-r", str(HERE / "requirements.txt")], check=True)
    shutil.copy(HERE / "package.json", work / "package.json")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=work, check=True)
    claude_code = work / "node_modules/@anthropic-ai/claude-code"
    subprocess.run(["node", "install.cjs"], cwd=claude_code, check=True, stdout=subprocess.DEVNULL)
    for file in (work / "node_modules/opencode-ai").glob("postinstall.*"):
        subprocess.run(["node", file.name], cwd=file.parent, check=False, stdout=subprocess.DEVNULL)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bsm", default=str(ROOT / "target/debug/bsm"))
    options.add_argument("--work", default=str(pathlib.Path(tempfile.gettempdir()) / "bsm-clients"))
    options.add_argument("--write", action="store_true")
    options.add_argument("names", nargs="*")
    options = options.parse_args()
    work = pathlib.Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    install(work)
    lab = Lab(str(pathlib.Path(options.bsm).resolve()), work)
    rows, failed = [], False
    try:
        for client in CLIENTS:
            if options.names and client[0] not in options.names:
                continue
            found = version(lab, client[1])
            results = []
            for model in ("well", "down", "translated"):
                if model == "translated" and client[2].startswith(("chat", "Gemini")):
                    results.append("–")
                    continue
                try:
                    result, _ = run_one(lab, client, model) if found else ("not installed", 0)
                except subprocess.TimeoutExpired:
                    result = "no end within 240 s"
                failed |= result != "passed"
                results.append(result)
            rows.append((client[0], found or "–", client[2], *results))
            print(" | ".join(rows[-1]), flush=True)
    finally:
        lab.stop()
    table = ["| client | version | protocol | provider well | primary down, written fallback | provider of chat completions only |",
             "|---|---|---|---|---|---|"]
    table += [f"| {' | '.join(row)} |" for row in rows]
    if options.write:
        page = ROOT / "docs/gateway.md"
        text = page.read_text()
        head, tail = text.split("<!-- clients -->\n")[0], text.split("<!-- /clients -->")[1]
        page.write_text(head + "<!-- clients -->\n" + "\n".join(table) + "\n<!-- /clients -->" + tail)
    sys.exit(failed)


main()
