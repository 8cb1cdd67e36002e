"""What a rendering works out once (templates/_once.tpl), in a chart of nothing but that."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from chart.helm import manifests, template
from support.paths import CHART

# It tells how many runs there have been, so that a text which was worked out again is another text.
HELPER = """
{{- define "counted" -}}
{{- $_ := set .root "Runs" (add 1 (.root.Runs | default 0)) -}}
{{ .role }} {{ .root.Runs }}
{{- end }}
"""
TEMPLATE = """
{{- $texts := list -}}
{{- range list "prefill" "decode" "prefill" -}}
{{- $with := dict "root" $ "role" . -}}
{{- $texts = append $texts (include "dpd.once" (dict "root" $ "helper" "counted" "of" . "with" $with)) -}}
{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data: {texts: {{ toJson $texts | quote }}}
"""


def rendered(program: str, folder: Path) -> list[list[str]]:
    """Return the texts that each of two templates was given."""
    (folder / "templates").mkdir()
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "once", "version": "0.1.0"}))
    (folder / "values.yaml").write_text("{}\n")
    shutil.copy(CHART / "templates" / "_once.tpl", folder / "templates")
    (folder / "templates" / "_counted.tpl").write_text(HELPER)
    for name in ("first", "second"):
        (folder / "templates" / f"{name}.yaml").write_text(TEMPLATE)
    documents = manifests(template(program, folder / "values.yaml", chart=folder))
    return [json.loads(each["data"]["texts"]) for each in documents]


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_a_helper_runs_once_for_each_role_whichever_templates_ask(program: str, tmp_path: Path) -> None:
    """Both templates get the first run's text for a role."""
    assert rendered(program, tmp_path) == [["prefill 1", "decode 2", "prefill 1"]] * 2
