"""What the command line says where nobody looks at a terminal."""

from __future__ import annotations

import time

import pytest

from api.cli import console, data


def test_long_steps_and_imports_give_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(console, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(data, "QUIET_SECONDS", 0.0)
    with console.step("counting sheep"):
        time.sleep(0.5)
    with data.shown_progress() as progress:
        progress("sheep.csv", 1_000, 20_000)
    said = capsys.readouterr().err
    assert said.index("counting sheep …") < said.index("✓ counting sheep")
    assert "sheep.csv: 1,000 of 20,000 lines" in said


def test_short_ones_do_not_repeat_themselves(capsys: pytest.CaptureFixture[str]):
    with console.step("blinking"):
        pass
    with data.shown_progress() as progress:
        progress("log.csv", 1, 2)
    assert "…" not in (said := capsys.readouterr().err)
    assert "log.csv" not in said
    assert "✓ blinking" in said
