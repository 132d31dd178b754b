"""The OpenAPI document: whole, exact, and what the service really does (schemathesis asks it)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import psycopg
import pytest
from jsonschema.validators import Draft202012Validator

from api.app import create_app
from api.auth import issue_token
from api.errors import PROBLEM_MEDIA_TYPE
from api.patterns import in_words
from api.settings import Settings
from tests.api.conftest import Api, Catalogue
from tests.api.served import serving_process

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
VIEWER = 7

# What schemathesis.toml asks about: the third of each is deleted, some are the viewer's own.
WORLD = f"""
insert into app.users (id, deleted) select i, i = 3 from generate_series(1, 8) as i;
insert into app.videos (id, creator_id, status, published_at, deleted)
select i, 8, 'published', now(), i = 3 from generate_series(1, 3) as i;
insert into app.posts (id, author_id, body, deleted)
select i, case when i > 10 then {VIEWER} else 8 end, 'Hello', i in (3, 13)
from generate_series(1, 13) as i;
insert into app.comments (id, user_id, item_type, item_id, body) values
(1, {VIEWER}, 'video', 1, 'Mine'), (2, {VIEWER}, 'post', 1, 'Mine');
"""

Document = dict[str, Any]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A busy machine must not answer 503."""
    return msgspec.structs.replace(settings, postgres_timeout_ms=30_000)


@pytest.fixture
def document(settings: Settings) -> Document:
    """The document, as JSON has it."""
    document: Document = json.loads(json.dumps(create_app(settings).openapi_schema.to_schema()))
    return document


def operations(document: Document) -> Iterator[tuple[str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_valid_and_whole(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    assert {"/api/v1/reels", "/api/v1/reels/trending", "/api/v1/feed", "/health"} <= set(
        document["paths"]
    )
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for kind in ("schemas", "headers"):
        references = set(re.findall(rf'"#/components/{kind}/([^"]+)"', json.dumps(document)))
        assert references <= set(document["components"][kind])

    for path, most, default in (("/api/v1/reels", 50, 40), ("/api/v1/feed", 100, 50)):
        feed = document["paths"][path]["get"]
        assert {p["name"] for p in feed["parameters"]} == {"algo", "limit", "cursor", "since"}
        limit = next(p for p in feed["parameters"] if p["name"] == "limit")
        assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, most)
        assert limit["schema"]["default"] == default
    assert document["security"] == [{"BearerToken": []}]
    assert document["paths"]["/health"]["get"]["security"] == [{}]
    identifiers = [operation["operationId"] for _, operation in operations(document)]
    assert len(identifiers) == len(set(identifiers))


def test_every_refusal_is_a_problem_and_every_answer_has_its_headers(document: Document) -> None:
    for name, operation in operations(document):
        is_open = operation.get("security") == [{}]
        responses = operation["responses"]
        assert is_open or {"401", "429"} <= set(responses), name
        for status, response in responses.items():
            if int(status) >= 400 and not is_open:
                assert list(response["content"]) == [PROBLEM_MEDIA_TYPE], (name, status)
            assert "X-Request-Id" in response["headers"], (name, status)
            assert is_open or "RateLimit-Remaining" in response["headers"], (name, status)
        assert is_open or "Retry-After" in responses["429"]["headers"], name


def test_ids_are_strings_of_digits(document: Document) -> None:
    found = 0
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            if (field == "id" or field.endswith("_id")) and described.get("type") == "string":
                assert "pattern" in described or described.get("format") == "uuid", (name, field)
                found += 1
    assert found > 0


def test_every_form_of_a_text_has_words_for_who_misses_it(document: Document) -> None:
    def forms(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("pattern"), str):
                yield node["pattern"]
            for value in node.values():
                yield from forms(value)
        elif isinstance(node, list):
            for value in node:
                yield from forms(value)

    asked = ("parameters", "requestBody")
    found = set(
        forms([operation.get(part) for _, operation in operations(document) for part in asked])
    )
    assert len(found) > 3
    for expression in found:
        with pytest.raises(msgspec.ValidationError) as caught:
            msgspec.convert("\0", Annotated[str, msgspec.Meta(pattern=expression)])
        words = in_words(str(caught.value))
        assert words.startswith("must be ")
        assert words != "must be of another form", expression


def test_every_worker_serves_the_same_document(settings: Settings) -> None:
    one, two = (create_app(settings).openapi_schema.to_schema() for _ in range(2))
    assert one == two


async def test_the_page_needs_no_internet(api: Api) -> None:
    response = await api.get("/schema")
    assert response.headers["content-type"].startswith("text/html")
    sources = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    scripts = [source for source in sources if source.endswith((".js", ".css"))]
    assert len(scripts) == 3
    for source in scripts:
        assert source.startswith("/schema/assets/")
        asset = await api.get(source)
        assert asset.status_code == 200
        assert len(asset.content) > 10_000
    assert not [source for source in sources if "//" in source]


class Findings(NamedTuple):
    """What schemathesis found: its words, its codes by operation, and who was ever accepted."""

    words: str
    codes: dict[str, set[str]]
    accepted: dict[str, int]


def ask(settings: Settings, address: str, folder: Path, *arguments: str) -> Findings:
    """Have schemathesis ask a running service all it can think of."""
    token = issue_token(settings, user_id=VIEWER, ttl_seconds=600)
    configuration = shutil.copy(CONFIGURATION, folder)
    (folder / "moments.dict").write_text(f'"{datetime.now(UTC).isoformat()}"\n')
    report = folder / "report.json"
    ended = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            f"--config-file={configuration}",
            "run",
            f"{address}/schema/openapi.json",
            f"--header=Authorization: Bearer {token}",
            f"--report-json-path={report}",
            *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    words = ended.stdout + ended.stderr
    assert report.exists(), words
    told = json.loads(report.read_text())
    assert told["complete"] and not told["errors"], words
    assert (ended.returncode == 0) == (not told["failures"]), words
    codes: dict[str, set[str]] = {}
    for failure in told["failures"]:
        for operation in failure["operations"]:
            codes.setdefault(operation, set()).add(failure["type"])
    accepted = {
        operation: sum(phase["accepted"] for phase in phases.values())
        for operation, phases in told["valid_rates"].items()
    }
    return Findings(words, codes, accepted)


def test_the_service_does_what_its_document_says(
    settings: Settings, catalogue: Catalogue, document: Document, tmp_path: Path
) -> None:
    """And refuses what it does not, for any data, good or bad; with real stores."""
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute(WORLD)
    with serving_process(settings, tmp_path / "log") as served:
        found = ask(settings, served.address, tmp_path)
    assert found.codes == {}, found.words
    # A service that refuses everything would pass, too.
    accepted = {name for name, count in found.accepted.items() if count}
    assert accepted == {name for name, _ in operations(document)}


def test_schemathesis_finds_what_is_broken(
    settings: Settings, catalogue: Catalogue, tmp_path: Path
) -> None:
    with serving_process(settings, tmp_path / "log", "tests.api.broken:create_app") as served:
        found = ask(settings, served.address, tmp_path, "--include-path-regex=/broken/")
    unannounced = {"UndefinedStatusCode", "RejectedPositiveData"}
    assert found.codes == {
        "GET /api/v1/broken/crashes": {"ServerError", *unannounced},
        "GET /api/v1/broken/teapot": unannounced,
        "GET /api/v1/broken/words": {"JsonSchemaError"},
        "GET /api/v1/broken/page": {"UndefinedContentType"},
        "GET /api/v1/broken/open": {"IgnoredAuth", "MissingHeaderNotRejected"},
        "GET /api/v1/broken/strict": {"RejectedPositiveData"},
    }
