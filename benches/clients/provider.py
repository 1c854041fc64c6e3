"""A provider for real clients: it speaks OpenAI chat completions and Responses, Anthropic Messages and Gemini.

It asks for one tool (a shell command that writes a file), and answers with one sentence once the tool's
result is there. With `fail` it answers 500. Arguments: port, name, `ok` or `fail`, file for a log.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, NAME, MODE, LOG = int(sys.argv[1]), sys.argv[2], sys.argv[3], open(sys.argv[4], "a", buffering=1)
COMMAND = "echo made-by-the-tool > proof.txt"
SENTENCE = "The gateway carried it."


def arguments(name, schema):
    """The command, in the words of whichever shell tool a client offers."""
    properties = (schema or {}).get("properties", {})
    if "command" in properties:
        kind = properties["command"].get("type")
        given = {"command": ["bash", "-lc", COMMAND] if kind == "array" else COMMAND}
    elif "cmd" in properties:
        given = {"cmd": COMMAND}
    elif "city" in properties:
        given = {"city": "Paris"}
    else:
        given = {}
    if "description" in properties:
        given["description"] = "write a file"
    return given


def shell_tool(tools):
    """The tool to use, and its schema: a shell where there is one, else the first."""
    known = {}
    for tool in tools or []:
        function = tool.get("function", tool)
        if function.get("name"):
            known[function["name"]] = function.get("parameters") or function.get("input_schema")
    for name in ("exec_command", "shell", "shell_command", "Bash", "bash"):
        if name in known:
            return name, known[name]
    return next(iter(known.items()), (None, None))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.whole(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = self.path.split("?")[0]
        LOG.write(json.dumps({"at": NAME, "path": self.path, "model": body.get("model")}) + "\n")
        if MODE == "fail":
            error = {"type": "error", "error": {"type": "api_error", "message": "scripted outage"}}
            return self.whole(500, error)
        if path.endswith("/messages/count_tokens"):
            return self.whole(200, {"input_tokens": 42})
        if path.endswith("/messages"):
            return self.answer_messages(body)
        if path.endswith("/responses"):
            return self.answer_responses(body)
        if ":streamGenerateContent" in path or ":generateContent" in path:
            return self.answer_gemini(body, "stream" in path)
        if path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
            return self.whole(200, {"object": "list", "model": body["model"], "data": data,
                                    "usage": {"prompt_tokens": 3, "total_tokens": 3}})
        return self.answer_chat(body)

    def whole(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def events(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for name, data in events:
            head = f"event: {name}\n" if name else ""
            text = data if isinstance(data, str) else json.dumps(data)
            self.wfile.write(f"{head}data: {text}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.005)
        self.close_connection = True

    def answer_messages(self, body):
        told = any(isinstance(m["content"], list) and any(b.get("type") == "tool_result" for b in m["content"])
                   for m in body["messages"])
        name, schema = (None, None) if told else shell_tool(body.get("tools"))
        usage = {"input_tokens": 100, "cache_read_input_tokens": 7, "output_tokens": 20}
        if name:
            given = arguments(name, schema)
            content, reason = [{"type": "tool_use", "id": "toolu_1", "name": name, "input": given}], "tool_use"
        else:
            content, reason = [{"type": "text", "text": SENTENCE}], "end_turn"
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
                   "stop_reason": reason, "stop_sequence": None, "usage": usage}
        if not body.get("stream"):
            return self.whole(200, message)
        start = {**message, "content": [], "stop_reason": None}
        events = [("message_start", {"type": "message_start", "message": start}), ("ping", {"type": "ping"})]
        block = content[0]
        if name:
            opened = {**block, "input": {}}
            text = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": text[i:i + 9]} for i in range(0, len(text), 9)]
        else:
            opened = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": SENTENCE[i:i + 6]} for i in range(0, len(SENTENCE), 6)]
        events.append(("content_block_start", {"type": "content_block_start", "index": 0, "content_block": opened}))
        events += [("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": d}) for d in deltas]
        events.append(("content_block_stop", {"type": "content_block_stop", "index": 0}))
        delta = {"stop_reason": reason, "stop_sequence": None}
        events.append(("message_delta", {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}))
        events.append(("message_stop", {"type": "message_stop"}))
        return self.events(events)

    def answer_responses(self, body):
        items = body["input"] if isinstance(body.get("input"), list) else []
        told = any(i.get("type", "").endswith("_call_output") for i in items)
        name, schema = (None, None) if told else shell_tool(body.get("tools"))
        if name:
            text = json.dumps(arguments(name, schema))
            item = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": name, "arguments": text,
                    "status": "completed"}
        else:
            part = {"type": "output_text", "text": SENTENCE, "annotations": []}
            item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        usage = {"input_tokens": 107, "input_tokens_details": {"cached_tokens": 7}, "output_tokens": 20,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 127}
        response = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "error": None,
                    "incomplete_details": None, "model": body["model"], "output": [item], "usage": usage,
                    "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        if not body.get("stream"):
            return self.whole(200, response)
        begun = {**response, "status": "in_progress", "output": [], "usage": None}
        events = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
        if name:
            opened = {**item, "arguments": "", "status": "in_progress"}
            events.append(("response.output_item.added", {"output_index": 0, "item": opened}))
            events += [("response.function_call_arguments.delta",
                        {"item_id": "fc_1", "output_index": 0, "delta": text[i:i + 9]}) for i in range(0, len(text), 9)]
            events.append(("response.function_call_arguments.done",
                           {"item_id": "fc_1", "output_index": 0, "arguments": text}))
        else:
            opened = {**item, "content": [], "status": "in_progress"}
            events.append(("response.output_item.added", {"output_index": 0, "item": opened}))
            at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            events.append(("response.content_part.added", {**at, "part": {**part, "text": ""}}))
            events += [("response.output_text.delta", {**at, "delta": SENTENCE[i:i + 6], "logprobs": []})
                       for i in range(0, len(SENTENCE), 6)]
            events.append(("response.output_text.done", {**at, "text": SENTENCE, "logprobs": []}))
            events.append(("response.content_part.done", {**at, "part": part}))
        events.append(("response.output_item.done", {"output_index": 0, "item": item}))
        events.append(("response.completed", {"response": response}))
        return self.events([(kind, {"type": kind, "sequence_number": n, **data})
                            for n, (kind, data) in enumerate(events)])

    def answer_chat(self, body):
        told = any(m.get("role") == "tool" for m in body["messages"])
        name, schema = (None, None) if told else shell_tool(body.get("tools"))
        usage = {"prompt_tokens": 107, "completion_tokens": 20, "total_tokens": 127}
        base = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        call = {"id": "call_1", "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments(name, schema))}}
        message = {"role": "assistant", "content": None if name else SENTENCE}
        if name:
            message["tool_calls"] = [call]
        reason = "tool_calls" if name else "stop"
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return self.whole(200, {**base, "object": "chat.completion", "choices": [choice], "usage": usage})

        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return ("", {**base, "object": "chat.completion.chunk", "choices": [choice]})

        events = [chunk({"role": "assistant", "content": ""})]
        if name:
            events.append(chunk({"tool_calls": [{"index": 0, **call}]}))
        else:
            events += [chunk({"content": SENTENCE[i:i + 6]}) for i in range(0, len(SENTENCE), 6)]
        events.append(chunk({}, reason))
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append(("", {**base, "object": "chat.completion.chunk", "choices": [], "usage": usage}))
        events.append(("", "[DONE]"))
        return self.events(events)

    def answer_gemini(self, _body, streams):
        def chunk(text, finish=None):
            candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
            if finish:
                candidate["finishReason"] = finish
            usage = {"promptTokenCount": 107, "candidatesTokenCount": 20, "totalTokenCount": 127}
            return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}

        if not streams:
            return self.whole(200, chunk(SENTENCE, "STOP"))
        return self.events([("", chunk(SENTENCE[:9])), ("", chunk(SENTENCE[9:], "STOP"))])


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
