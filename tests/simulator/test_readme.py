import re
from dataclasses import fields

from dpd_sim.core.timing import Timing
from dpd_sim.settings import PRESETS, Knobs, Shape
from support.paths import ROOT

README = (ROOT / "images" / "simulator" / "README.md").read_text(encoding="utf-8")


def test_the_table_of_knobs_is_complete_and_names_none_that_does_not_exist() -> None:
    own = {f"DPD_SIM_{f.name.upper()}" for f in fields(Knobs) if f.name not in {"shape", "timing"}}
    shape = {f"DPD_SIM_SHAPE_{f.name.upper()}" for f in fields(Shape)}
    times = {f"DPD_SIM_TIME_{f.name.upper()}" for f in fields(Timing)}
    assert set(re.findall(r"DPD_SIM_[A-Z_]+", README)) == {"DPD_SIM_MODEL", *own, *shape, *times}


def test_the_defaults_in_the_table_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `DPD_SIM_(\w+)` \| `([^`]+)` \|", README, re.MULTILINE))
    rows.pop("MODEL")
    for prefix, base in (("TIME_", Timing()), ("", Knobs())):
        for field in fields(base):
            name = prefix + field.name.upper()
            if name in rows:
                top, _, bottom = rows.pop(name).partition("/")
                assert float(top) / float(bottom or 1) == float(getattr(base, field.name)), name
    assert not rows


def test_every_preset_is_named() -> None:
    assert all(f"`{name}`" in README for name in PRESETS)
