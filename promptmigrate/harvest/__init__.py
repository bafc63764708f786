"""Production calls to a Dataset: sources, redaction, de-duplication, split."""

from __future__ import annotations

from promptmigrate.harvest._harvest import Harvest, harvest
from promptmigrate.harvest.mlflow_log import log_dataset
from promptmigrate.harvest.profile import Profile
from promptmigrate.harvest.saved import read_dataset, write_dataset
from promptmigrate.harvest.splits import check_size

__all__ = ["Harvest", "Profile", "check_size", "harvest", "log_dataset", "read_dataset", "write_dataset"]
