"""The experiment file: what to migrate, on which data, judged how, at what price.

:func:`load_config` validates the whole file before anything is spent. An error names the file, the line, the
key and, for an unknown key, the nearest one that exists.
"""

from __future__ import annotations

from promptmigrate.config.load import inline_prompt, json_schema, load_config, naming_lines, parse_config
from promptmigrate.config.params import unknown as unknown_params
from promptmigrate.config.schema import Config
from promptmigrate.config.sections import (
    BudgetConfig,
    ColumnsConfig,
    DataConfig,
    EndpointConfig,
    GateConfig,
    PriceConfig,
    PromptConfig,
    PublishConfig,
    ScorerConfig,
    SearchConfig,
    SlicesConfig,
    SourceConfig,
    SplitConfig,
    StorageConfig,
    TargetConfig,
    TracesConfig,
)

__all__ = [
    "BudgetConfig",
    "ColumnsConfig",
    "Config",
    "DataConfig",
    "EndpointConfig",
    "GateConfig",
    "PriceConfig",
    "PromptConfig",
    "PublishConfig",
    "ScorerConfig",
    "SearchConfig",
    "SlicesConfig",
    "SourceConfig",
    "SplitConfig",
    "StorageConfig",
    "TargetConfig",
    "TracesConfig",
    "inline_prompt",
    "json_schema",
    "load_config",
    "naming_lines",
    "parse_config",
    "unknown_params",
]
