"""``cnnspec check``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from cnnspec.cli.output import as_json, complain
from cnnspec.cli.selection import Selection, Spec, as_json_option, chooses_model, coloured, select

if TYPE_CHECKING:
    from cnnspec import loading
    from cnnspec.diagnostics import Diagnostic, Span


@click.command("check", short_help="Check specs and show their totals.")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, type=Spec())
@chooses_model
@click.option(
    "--format",
    "style",
    type=click.Choice(["full", "short", "json"]),
    default="full",
    help="How diagnostics look: with their source, a line each, or JSON.",
)
@as_json_option
@coloured
def command(
    specs: tuple[str, ...],
    model: str | None,
    settings: tuple[str, ...],
    inputs: tuple[str, ...],
    style: str,
    as_data: bool,
) -> None:
    """Check that specs hold: diagnostics, then the totals of each model.

    A file with several models has all of them checked, unless --model chooses one; one of blocks alone is only read.
    """
    reports: list[dict[str, Any]] = []
    texts: list[str] = []
    failed = False
    for spec in specs:
        failed |= _check(select(spec, model, settings, inputs), style, reports if as_data else None, texts)
    if as_data:
        click.echo(as_json(reports[0] if len(reports) == 1 else reports))
    elif texts:
        click.echo("\n\n".join(texts))
    if failed:
        click.get_current_context().exit(1)


def _check(selection: Selection, style: str, reports: list[dict[str, Any]] | None, texts: list[str]) -> bool:
    """Check one spec, with all its models unless one is chosen; whether it failed."""
    from cnnspec import loading
    from cnnspec.diagnostics import SpecError
    from cnnspec.expand import stands_alone

    try:
        parsed = loading.parse_all(loading.find(selection.spec))
    except SpecError as error:
        complain(error.diagnostics, error.sources, style)
        if reports is not None:
            reports.append(_failure(None, error.diagnostics))
        return True
    names: list[str | None] = [selection.model or parsed.model]
    if names == [None]:
        models = [d for d in parsed.files[0].definitions if d.keyword == "model"]
        alone = [d for d in models if stands_alone(d, selection.parameters)]
        names = [d.name.text for d in alone or models]
        if not models and parsed.files[0].definitions:
            return _check_blocks(parsed, style, reports, texts)
    failed = False
    seen: set[tuple[str, Span]] = set()
    for name in names or [None]:
        checked = selection.check(parsed, name)
        # What is wrong with a block is found again by every model that uses it.
        fresh = [d for d in checked.diagnostics if (d.code, d.span) not in seen]
        seen.update((d.code, d.span) for d in fresh)
        complain(fresh, checked.sources, style)
        failed |= checked.failed
        if reports is not None:
            if checked.graph is None or checked.failed:
                reports.append(_failure(name, checked.diagnostics))
            else:
                from cnnspec.facts.report import as_data

                data = {**as_data(checked.graph), "ok": True, "diagnostics": [d.as_json() for d in checked.diagnostics]}
                reports.append(data)
        elif checked.graph is not None and not checked.failed:
            from cnnspec.facts.report import as_totals

            texts.append(as_totals(checked.graph))
    return failed


def _check_blocks(parsed: loading.Parsed, style: str, reports: list[dict[str, Any]] | None, texts: list[str]) -> bool:
    """Check a file that only lends its blocks: their names, since all else depends on their uses; whether it failed."""
    from cnnspec.expand import definitions_of
    from cnnspec.expand.names import unknown_names, unused_names

    file = parsed.files[0]
    definitions, diagnostics = definitions_of(parsed.files)
    diagnostics = diagnostics or unknown_names(file, definitions)
    failed = bool(diagnostics)
    if not failed:
        diagnostics = [name.diagnostic for name in unused_names(file)]
    complain(diagnostics, parsed.sources, style)
    names = [definition.name.text for definition in file.definitions]
    if reports is not None:
        found = [diagnostic.as_json() for diagnostic in diagnostics]
        reports.append({"model": None, "blocks": names, "ok": not failed, "diagnostics": found})
    elif not failed:
        count = f"{len(names)} block" + "s" * (len(names) != 1)
        texts.append(
            f"{file.name}: {count} and no model ({', '.join(names)}); shapes are checked where a model uses them"
        )
    return failed


def _failure(name: str | None, diagnostics: Iterable[Diagnostic]) -> dict[str, Any]:
    return {"model": name, "ok": False, "diagnostics": [d.as_json() for d in diagnostics]}
