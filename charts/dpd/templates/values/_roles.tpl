{{/* Checks of the two roles and of the transfer between them; only under pdSpec. */}}

{{- define "dpd.check.roles" -}}
{{- $places := list (list "worker.args" (include "dpd.worker.segments" .)) -}}
{{- range $section := list "prefillSpec" "decodingSpec" -}}
{{- $places = append $places (list (printf "pdSpec.%s.args" $section) (include "dpd.args.own" (dict "root" $ "section" $section))) -}}
{{- end -}}
{{- range $place := $places -}}
{{- range last $place | fromJsonArray -}}
{{- if or (eq .key "kv-transfer-config") (hasPrefix "kv-transfer-config." .key) }}
{{ first $place }}: --{{ .key }} is set, and pdSpec gives each role its own; remove it
{{- end -}}
{{- end -}}
{{- end -}}
{{- $shared := get (include "dpd.worker.flags" . | fromJson) "port" -}}
{{- range $role := list "prefill" "decode" -}}
{{- $facts := include "dpd.role" (dict "root" $ "role" $role) | fromJson -}}
{{- $written := get $facts.flags "tensor-parallel-size" | default "1" -}}
{{- if not (regexMatch "^[1-9][0-9]*$" $written) }}
{{ $facts.path }}.args: --tensor-parallel-size is {{ $written | quote }}; write a whole number
{{- else if eq $.Values.transfer.bufferDevice "cuda" -}}
{{- if lt (int $facts.gpus) 1 }}
{{ $facts.path }}.resources.limits: no nvidia.com/gpu, and worker.resources do not count under pdSpec; add it, or set transfer.bufferDevice to cpu
{{- else if gt (int $facts.ranks) (int $facts.gpus) }}
{{ $facts.path }}.resources.limits: {{ int $facts.gpus }} GPUs, and --tensor-parallel-size is {{ int $facts.ranks }}; ask for {{ int $facts.ranks }}, or lower the flag
{{- end -}}
{{- end -}}
{{- $given := get $facts.flags "port" -}}
{{- if and $given (ne $given $shared) (ne $given (int $.Values.worker.modelInvocationPort.containerPort | toString)) }}
{{ $facts.path }}.args: --port is {{ $given }} and worker.modelInvocationPort.containerPort is {{ int $.Values.worker.modelInvocationPort.containerPort }}; make them the same
{{- end -}}
{{- end -}}
{{- end }}

{{- define "dpd.check.transfer" -}}
{{- $prefill := include "dpd.role" (dict "root" . "role" "prefill") | fromJson -}}
{{- $decode := include "dpd.role" (dict "root" . "role" "decode") | fromJson -}}
{{- if and (eq (include "dpd.transfer.lmcache" .) "true") (ne (int $prefill.ranks) (int $decode.ranks)) }}
pdSpec.decodingSpec.args: --tensor-parallel-size is {{ int $decode.ranks }} and {{ int $prefill.ranks }} on the prefiller, and each of LMCache's ranks sends to its like; make them the same, or set transfer.connector to nixl
{{- end -}}
{{- $distance := sub (int .Values.transfer.allocPort) (int .Values.transfer.initPort) -}}
{{- if and (eq (include "dpd.transfer.lmcache" .) "true") (lt (int (max $distance (sub 0 $distance))) (int $decode.ranks)) }}
transfer.allocPort: {{ int .Values.transfer.allocPort }} is less than {{ int $decode.ranks }} ports, one per rank, from transfer.initPort {{ int .Values.transfer.initPort }}; move one of them
{{- end -}}
{{- $instance := .Values.instance | default dict -}}
{{- if eq .Values.transfer.fabric "efa" -}}
{{- range list "gpus" "efaInterfaces" -}}
{{- if not (get $instance .) }}
instance.{{ . }}: absent, and transfer.fabric is efa; set it to what a node has, or set transfer.fabric to tcp
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $instance.gpus -}}
{{- range $facts := list $prefill $decode -}}
{{- if gt (int $facts.gpus) (int $instance.gpus) }}
{{ $facts.path }}.resources.limits: {{ int $facts.gpus }} GPUs, and a node has {{ int $instance.gpus }}; ask for fewer
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
