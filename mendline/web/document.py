"""Makes docs/api.md of the API's own description (OpenAPI), which the calls and models give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from mendline import __version__
from mendline.web.api import api

Schema = Mapping[str, Any]

INTRODUCTION = """\
What the [page](web.md) shows is answered by the calls below, as JSON. Each needs a token, or a session that one was
exchanged for:

```console
$ curl -H "Authorization: Bearer $(cat .mendline/state/web-token)" http://127.0.0.1:8329/api/overview
```

The same description for programs, in OpenAPI's form, is at `/api/openapi.json`. What is refused is answered with a
status and `{"detail": "why"}`: 401 no token that is known, 403 its role may not do this, 404 there is no such thing,
409 nothing waits for the answer, or not any more, 413 the body is too large, 421 the name in `Host` is not served,
422 the call makes no sense, 503 the log does not answer.
"""


def api_page(generated: str) -> str:
    """Return the text of the page; `generated` stands at its top."""
    app = FastAPI(title="Mendline", version=__version__)
    app.include_router(api)
    found = app.openapi()
    models: Mapping[str, Schema] = found["components"]["schemas"]
    told = [name for name in models if "ValidationError" not in name and name != "Problem"]
    lines = [generated, "", "# The API", "", INTRODUCTION, "## Calls", ""]
    for path, calls in found["paths"].items():
        for method, call in calls.items():
            lines += _call(method, path, call)
    lines += ["## Answers", "", "Times are ms since the Unix epoch, UTC.", ""]
    for name in sorted(told):
        lines += _model(name, models[name])
    return "\n".join(lines).rstrip() + "\n"


def _call(method: str, path: str, call: Schema) -> Iterator[str]:
    yield f"### {method.upper()} {path}"
    yield ""
    yield " ".join(call["description"].split())
    yield ""
    given = [f"- `{one['name']}`: {_about(one, one['schema'])}" for one in call.get("parameters", ())]
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    given += [f"- body: {_kind(body)}"] if body else []
    answer = _done(call["responses"]).get("content", {}).get("application/json", {}).get("schema")
    given += [f"- answer: {_kind(answer)}"] if answer else []
    yield from given
    yield ""


def _done(responses: Schema) -> Schema:
    found: Schema = responses.get("201") or responses["200"]
    return found


def _about(parameter: Schema, schema: Schema) -> str:
    told = [_kind(schema), parameter.get("description", "")]
    return ", ".join(filter(None, told))


def _model(name: str, model: Schema) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield " ".join(model.get("description", "").split())
    yield ""
    yield "| field | kind | meaning |"
    yield "|---|---|---|"
    for field, schema in model.get("properties", {}).items():
        cells = (f"`{field}`", _kind(schema), schema.get("description", ""))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _kind(schema: Schema) -> str:
    """Return the kind of a value in words.

    >>> _kind({"anyOf": [{"type": "integer"}, {"type": "null"}]})
    'whole number or nothing'
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    kinds = {
        "string": "text",
        "integer": "whole number",
        "boolean": "yes or no",
        "null": "nothing",
        "object": "mapping",
    }
    return kinds.get(schema.get("type", ""), "any")
