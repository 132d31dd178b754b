"""Settings: read once, refused when unknown or out of range, never printed with their secrets."""

from pathlib import Path

import pytest

from api.settings import Settings, SettingsError

SECRET = "x" * 32
GOOD = {"NOVA_JWT_SECRET": SECRET, "NOVA_CURSOR_SECRET": SECRET}
EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_an_unknown_variable_is_refused_by_name():
    with pytest.raises(SettingsError, match="NOVA_PROT"):
        Settings.from_environ({**GOOD, "NOVA_PROT": "8000"})


def test_variables_of_other_programs_are_left_alone():
    Settings.from_environ({**GOOD, "PORT": "x", "NOVA_DBT_HOST": "h", "NOVA_TEST_SIZE": "1"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NOVA_PORT", "70000"),
        ("NOVA_PORT", "http"),
        ("NOVA_LOG_LEVEL", "loud"),
        ("NOVA_CDC", "carrier-pigeon"),
        ("NOVA_REDIS_TIMEOUT_MS", "0"),
        ("NOVA_SNAPSHOT_TTL_SECONDS", "60"),
        ("NOVA_CURSOR_SECRET", "short"),
        ("NOVA_POSTGRES_URL", "mysql://localhost/nova"),
        ("NOVA_TENSORFLOW_SERVING_URL", "localhost:8501"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, value: str):
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environ({**GOOD, variable: value})


def test_tokens_cannot_be_left_unverified():
    with pytest.raises(SettingsError, match="NOVA_JWT_SECRET"):
        Settings.from_environ({"NOVA_CURSOR_SECRET": SECRET})


def test_secrets_and_passwords_are_not_shown():
    settings = Settings.from_environ(
        {**GOOD, "NOVA_POSTGRES_URL": "postgresql://nova:hunter2@db:5432/nova"}
    )
    shown = repr(settings) + str(settings)
    assert SECRET not in shown
    assert "hunter2" not in shown
    assert "postgresql://nova:***@db:5432/nova" in shown


def test_settings_do_not_change():
    settings = Settings.from_environ(GOOD)
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


def test_the_example_lists_every_setting_with_its_default():
    listed = {}
    for line in EXAMPLE.read_text().splitlines():
        variable, equals, value = line.removeprefix("# ").partition("=")
        if equals and variable.startswith("NOVA_"):
            listed[variable.removeprefix("NOVA_").lower()] = value

    defaults = Settings.from_environ(GOOD)
    assert sorted(listed) == sorted(Settings.__struct_fields__)
    for name, value in listed.items():
        if value and not name.endswith("_url"):
            assert str(getattr(defaults, name)) == value, name
