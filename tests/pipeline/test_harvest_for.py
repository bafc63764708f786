import json

import pytest

from promptmigrate.config import parse_config
from promptmigrate.pipeline.prepare import harvest_for
from promptmigrate.types import Prompt


@pytest.mark.parametrize("scorer,kept", [({"expected_key": "queue"}, 6), ({}, 5)])
def test_what_the_scorers_read_decides_which_labels_contradict(tmp_path, scorer, kept):
    rows = [(n, {"queue": "bug", "note": "short"}) for n in range(6)] + [
        (0, {"queue": "bug", "note": "long"})
    ]
    lines = [json.dumps({"inputs": {"ticket": str(n)}, "expectations": e}) for n, e in rows]
    (tmp_path / "calls.jsonl").write_text("\n".join(lines))
    config = parse_config(
        {
            "name": "triage", "prompt": {"text": "{{ticket}}"}, "targets": [{"model": "sim/small"}],
            "data": {"traces": {"file": "calls.jsonl"}}, "gate": {"margin": 0.05},
            "scorers": [{"use": "label_match", **scorer}],
        }
    )  # fmt: skip
    assert len(harvest_for(config, Prompt.text("{{ticket}}"), None, tmp_path).dataset) == kept
