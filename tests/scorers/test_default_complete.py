"""The default way to a model, for real: over HTTP to a server that speaks OpenAI's protocol."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CODE = """
import json, sys
import scorers
mode = sys.argv[1]
if mode == "litellm":
    from scorers import _complete
    found = _complete.module
    _complete.module = lambda name: None if name.startswith("promptmigrate") else found(name)
judge = scorers.correctness(model="openai/judge-1", structured=sys.argv[2] == "structured", max_tokens=77)
scores = [judge(output=o, expected="Paris") for o in ("Rome, surely", "It is Paris", "Paris")]
pair = scorers.pairwise(model="openai/judge-1")(output="It is Paris", expected="Rome, surely")
print(json.dumps([[s.value, s.unscored, s.rationale, s.input_tokens, s.evidence.get("decided_by")]
                  for s in [*scores, pair]]))
"""


class OpenAI(BaseHTTPRequestHandler):
    asked: list
    refuse_schema = False

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.reply(200, {"object": "list", "data": [{"id": "judge-1", "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers.get("Authorization"), body))
        if "response_format" in body and type(self).refuse_schema:
            self.reply(
                400,
                {"error": {"message": "response_format is not supported", "type": "invalid_request_error"}},
            )
            return
        user = body["messages"][1]["content"]
        if "<<<FIRST " in user:
            text = "VERDICT: " + ("FIRST" if "Paris" in user.split("<<<SECOND")[0] else "SECOND")
        else:
            right = "Paris" in user.split("<<<OUTPUT ")[1].split("<<<END")[0]
            verdict = "CORRECT" if right else "INCORRECT"
            text = (
                json.dumps({"reason": "told", "verdict": verdict})
                if "JSON" in user
                else f"Told. VERDICT: {verdict}"
            )
        message = {"role": "assistant", "content": text}
        self.reply(
            200,
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "judge-1",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55},
            },
        )

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server():
    handler = type("Handler", (OpenAI,), {"asked": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{running.server_port}/v1"
    running.shutdown()
    thread.join()
    running.server_close()


def run(url, mode, form, **environment):
    import os

    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "LITELLM_"))}
    done = subprocess.run(
        [sys.executable, "-c", CODE, mode, form],
        capture_output=True,
        text=True,
        env={**kept, "OPENAI_BASE_URL": url, **environment},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


WANTED = [0.0, 1.0, 1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["door", "litellm"])
def test_judges_reach_the_endpoint_that_the_environment_names(mode, server):
    handler, url = server
    scores = run(url, mode, "plain", OPENAI_API_KEY="sk-test-1")
    assert [value for value, *_ in scores] == WANTED, scores
    assert [decider for *_, decider in scores] == ["judge", "judge", "identical", "judge"]
    assert [tokens for *_, tokens, _ in scores] == [50, 50, 0, 100]
    assert len(handler.asked) == 4
    path, key, body = handler.asked[0]
    assert (path, key, body["model"]) == ("/v1/chat/completions", "Bearer sk-test-1", "judge-1")
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert "response_format" not in body


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["door", "litellm"])
@pytest.mark.parametrize("refused", [False, True])
def test_a_schema_is_sent_along_and_left_out_where_it_is_refused(mode, refused, server):
    handler, url = server
    handler.refuse_schema = refused
    scores = run(url, mode, "structured", OPENAI_API_KEY="sk-test-1")
    assert [value for value, *_ in scores] == WANTED, scores
    assert scores[0][2] == "told"
    form = handler.asked[0][2]["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["verdict"]["enum"] == ["CORRECT", "INCORRECT"]
    # once refused, it is not sent again (LiteLLM itself repeats a refused request twice)
    sent = {(False, "door"): 2, (False, "litellm"): 2, (True, "door"): 1, (True, "litellm"): 3}[refused, mode]
    assert sum("response_format" in body for _, _, body in handler.asked) == sent
    assert len(handler.asked) == (4 + sent if refused else 4)


@pytest.mark.slow
def test_a_server_of_ones_own_needs_no_key(server):
    handler, url = server
    assert [value for value, *_ in run(url, "door", "plain")] == WANTED
    assert handler.asked[0][1] is None
