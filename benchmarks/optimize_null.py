"""mlflow.genai.optimize_prompts where nothing can be gained: what it registers, as JSON.

    python benchmarks/optimize_null.py

A scorer that tosses coins, and a reflection model that changes nothing. A local store and a local stub; no
network. It is part of ``gate.py``, which runs it in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # not this folder: its scorers.py is a benchmark


class Stub(BaseHTTPRequestHandler):
    """An OpenAI-compatible reflection model: a different wording that means the same, or the same wording."""

    changes = True
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Stub.asked += 1
        words = f"Answer the question, take {Stub.asked}: " if Stub.changes else "Answer: "
        text = f"```\n{words}{{{{question}}}}\n```"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        found = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "stub",
            "choices": [choice],
            "usage": usage,
        }
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def optimize(rows: int = 10, calls: int = 90, seeds: int = 3) -> list[dict[str, Any]]:
    """Run mlflow's optimizer where nothing can be gained; what it registered."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    os.environ.update(
        OPENAI_API_KEY="none",
        OPENAI_API_BASE=url,
        OPENAI_BASE_URL=url,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        MLFLOW_SQLALCHEMYSTORE_POOL_SIZE="200",
        MLFLOW_DISABLE_TELEMETRY="true",
        DO_NOT_TRACK="true",
    )
    import mlflow
    from mlflow.genai.optimize import GepaPromptOptimizer
    from mlflow.genai.scorers import scorer

    logging.disable(logging.WARNING)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("null", artifact_location=f"file://{folder}/artifacts")
        mlflow.set_experiment("null")
        for case, changes in [*((f"coin {seed}", True) for seed in range(seeds)), ("no change", False)]:
            Stub.changes = changes
            prompt = mlflow.genai.register_prompt(
                name=case.replace(" ", "-"), template="Answer: {{question}}"
            )

            def predict(question: str, _uri: str = prompt.uri) -> str:
                return str(mlflow.genai.load_prompt(_uri).format(question=question))

            @scorer(name="coin")
            def coin(outputs: str, _case: str = case) -> float:
                return float(hashlib.sha256(f"{_case}{outputs}".encode()).digest()[0] % 2)

            result = mlflow.genai.optimize_prompts(
                predict_fn=predict,
                train_data=[{"inputs": {"question": f"question {n}"}, "outputs": "yes"} for n in range(rows)],
                prompt_uris=[prompt.uri],
                optimizer=GepaPromptOptimizer(
                    reflection_model="openai:/stub", max_metric_calls=calls, display_progress_bar=False
                ),
                scorers=[coin],
            )
            (registered,) = result.optimized_prompts
            found.append(
                {
                    "case": case,
                    "before": result.initial_eval_score,
                    "after": result.final_eval_score,
                    "registered": registered.version > prompt.version,
                    "changed": registered.template != prompt.template,
                }
            )
        del prompt
    server.shutdown()
    return found


if __name__ == "__main__":
    print(json.dumps(optimize()))
