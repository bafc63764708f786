"""After PROMOTE of a program: a version of every changed prompt, the alias on all, a route for each."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from promptmigrate import mlflow_store
from promptmigrate.errors import TemplateError
from promptmigrate.pipeline import record
from promptmigrate.pipeline.events import Listener
from promptmigrate.pipeline.prepare import route_path
from promptmigrate.pipeline.program import Components
from promptmigrate.publish import current, load, register, told, write_route
from promptmigrate.types import Prompt, Variant


def publish_program(
    work: record.Work, program: Components, summary: dict[str, Any], listener: Listener
) -> dict[str, Any]:
    """Register the changed prompts, then move the alias on all at once, then write the routes.

    The summary gains ``prompt_versions`` and ``routes``, by component; ``prompt_version`` and ``route`` are
    the first of each. Repeating it changes nothing.

    Raises:
        StorageError: the store failed; where it failed while aliases moved, they are moved back.
    """
    versions = _registered(work, program, summary)
    changed = ", ".join(name for name in versions if versions[name] != program.uris.get(name))
    alias = work.config.publish.alias
    move_alias(versions, alias, work.config.mlflow.tracking_uri)
    listener.note(f"registered {changed or 'nothing new'}; alias {alias} on {', '.join(versions.values())}")
    summary = {
        **summary,
        "prompt_version": next(iter(versions.values()), None),
        "prompt_versions": versions,
    }
    if record.unnamed(work):
        listener.note("no route written: it needs the model that production runs; name source.model for one")
        return summary
    routes = _routes(work, program, versions, summary, listener)
    return {**summary, "route": next(iter(routes.values())), "routes": routes}


def _registered(work: record.Work, program: Components, summary: Mapping[str, Any]) -> dict[str, str]:
    """Component -> URI of its version: a new one where the prompt changed, else the one that there is.

    A prompt that is in no registry and did not change stays out of it.
    """
    config, candidate = work.config, work.gate.chosen.candidate
    versions = {}
    for name, prompt in candidate.components.items():
        uri = program.uris.get(name)
        if prompt == program.prompts[name]:
            if uri is not None:
                versions[name] = uri
            continue
        versions[name] = register(
            tracking_uri=config.mlflow.tracking_uri,
            name=_name_of(uri) if uri else f"{config.publish.name or config.name}.{name}",
            variant=_alone(candidate, prompt),
            verdict_summary=summary,
            tags={
                **record.verdict_tags(summary),
                "promptmigrate.mlflow_run": summary["mlflow_run_id"],
                "promptmigrate.program": program.program.name,
                "promptmigrate.component": name,
                **({"promptmigrate.parent": uri} if uri else {}),
            },
            alias=None,
            commit_message=f"{config.name}, {name}: {work.gate.production.model} to {candidate.model}",
        )
    return versions


def move_alias(versions: Mapping[str, str], alias: str, tracking_uri: str | None) -> None:
    """Point ``alias`` of every prompt to its version; back to where it was if one of them cannot be moved."""
    store = mlflow_store.resolve(tracking_uri)
    client = mlflow_store.client(store)
    moved: list[tuple[str, int | None]] = []
    try:
        for uri in versions.values():
            name, version = _name_of(uri), int(uri.rpartition("/")[2])
            before = _pointed(name, alias, tracking_uri)
            with mlflow_store.store_errors(store):
                client.set_prompt_alias(name, alias, version)
            moved.append((name, before))
    except Exception:
        for name, before in reversed(moved):
            with mlflow_store.store_errors(store):
                if before is None:
                    client.delete_prompt_alias(name, alias)
                else:
                    client.set_prompt_alias(name, alias, before)
        raise


def _pointed(name: str, alias: str, tracking_uri: str | None) -> int | None:
    try:
        return load(f"prompts:/{name}@{alias}", tracking_uri=tracking_uri)[1].version
    except TemplateError:
        return None


def _routes(
    work: record.Work,
    program: Components,
    versions: Mapping[str, str],
    summary: Mapping[str, Any],
    listener: Listener,
) -> dict[str, str]:
    config, gate = work.config, work.gate
    candidate, production = gate.chosen.candidate, gate.production
    found = {}
    for name, prompt in candidate.components.items():
        before = current(route_path(config, name))
        route = write_route(
            route_path(config, name),
            name=f"{config.name}.{name}",
            # One user gets all components of one side: they were measured together.
            salt=config.name,
            production=_alone(production, production.components[name]),
            candidate=_alone(candidate, prompt),
            candidate_uri=versions.get(name),
            production_uri=program.uris.get(name),
            stages=config.publish.stages,
            evidence={
                "verdict": summary["verdict"],
                "run_id": summary["mlflow_run_id"],
                "run_dir": summary["run_dir"],
                "dataset": work.dataset.digest,
                "bundle": summary["bundle"]["digest"],
            },
            prices={model: work.door.price(model) for model in (production.model, candidate.model)},
            endpoints=config.endpoints,
            experiment=config.data.traces.experiment or record.experiment(config),
            tracking_uri=config.mlflow.tracking_uri,
        )
        shutil.copyfile(route, work.run.path / f"route.{name}.yaml")
        listener.note(told(route, before))
        found[name] = str(route)
    return found


def _alone(variant: Variant, prompt: Prompt) -> Variant:
    """One component as a Variant of its own."""
    return Variant(prompt=prompt, model=variant.model, params=variant.params, origin=variant.origin)


def _name_of(uri: str) -> str:
    return uri.removeprefix("prompts:/").split("/")[0]
