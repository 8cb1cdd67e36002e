"""Every lmcache.yaml that the chart renders, read by LMCache itself; the simulator's table of its keys beside it."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from dpd_sim.lmcache_config import LMCacheConfig
from dpd_sim.lmcache_keys import NOT_FROM_ENVIRONMENT, OTHERS
from engines.conftest import KINDS
from engines.harness.build import build
from support.paths import CASES

READ = """
import json, logging, sys
from lmcache.v1 import config, config_base
said = []
config_base.logger.warning = lambda text, *_: said.append(text)
for path in sys.argv[1:]:
    config.LMCacheEngineConfig.from_file(path).validate()
known = config._CONFIG_DEFINITIONS
mute = [name for name, each in known.items() if "env_converter" not in each]
print(json.dumps({"said": said, "known": sorted(known), "mute": mute}))
"""
ACTED_ON = set(LMCacheConfig.__dataclass_fields__)


def rendered(folder: Path) -> list[Path]:
    """Each case's configuration, with what the environment adds to it."""
    files = []
    for golden in sorted(CASES.glob("accept/*/manifests.yaml")):
        for document in yaml.safe_load_all(golden.read_text()):
            text = (document or {}).get("data", {}).get("lmcache.yaml")
            if text:
                settings = yaml.safe_load(text)
                settings |= {"pd_buffer_size": 1, "pd_peer_host": "127.0.0.1"} if settings.get("enable_pd") else {}
                file = folder / f"{golden.parent.name}-{document['metadata']['name']}.yaml"
                file.write_text(yaml.safe_dump(settings))
                files.append(file)
    return files


def test_the_chart_writes_no_key_that_lmcache_does_not_know(tmp_path: Path) -> None:
    files = rendered(tmp_path)
    assert len(files) > 20
    unknown = {key for file in files for key in yaml.safe_load(file.read_text())} - ACTED_ON - OTHERS
    assert unknown == set()


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_lmcache_reads_what_the_chart_writes_and_knows_the_keys_of_our_table(kind: str, tmp_path: Path) -> None:
    command = [build().python, "-c", READ, *rendered(tmp_path)]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["said"] == []
    assert set(told["known"]) == ACTED_ON | OTHERS
    assert set(told["mute"]) == NOT_FROM_ENVIRONMENT
