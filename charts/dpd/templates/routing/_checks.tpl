{{/* Checks of routing; only where there is a router. */}}

{{- define "dpd.check.routing" -}}
{{- $own := .Values.router.routing -}}
{{- $used := include "dpd.routing.used" . | splitList " " -}}
{{- if and (eq $own.tokenizer.mode "file") (not $own.tokenizer.existingClaim) }}
router.routing.tokenizer.existingClaim: empty, and mode is file; name a PersistentVolumeClaim in {{ .Values.router.namespace }} that holds tokenizer.json
{{- end -}}
{{- if and (has "kvaware" $used) (eq $own.tokenizer.mode "estimate") }}
router.routing.tokenizer.mode: estimate yields no token ids, and kvaware needs them; use engine or file, or leave it empty
{{- end -}}
{{- if and .Values.pdSpec (eq $own.decodeStrategy "kvaware") (eq (include "dpd.transfer.lmcache" .) "true") }}
router.routing.decodeStrategy: kvaware, and decoders keep no prefix cache beside LMCache's transfers; use leastload, session or prefixaware
{{- end -}}
{{- range $role := ternary (list "prefill" "decode") (list "worker") (not (empty .Values.pdSpec)) -}}
{{- if eq (include "dpd.routing.told" (dict "root" $ "role" $role)) "true" }}
{{- include "dpd.check.routing.worker" (dict "root" $ "role" $role) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes {root, role}: an engine that tells of its cache has one, tells it here, and has its ports for itself. */}}
{{- define "dpd.check.routing.worker" -}}
{{- $facts := include "dpd.role" . | fromJson -}}
{{- $section := get (dict "prefill" "prefillSpec" "decode" "decodingSpec") .role -}}
{{- $places := list (list "worker.args" (include "dpd.worker.segments" .root)) -}}
{{- if $section }}{{ $places = append $places (list (printf "pdSpec.%s.args" $section) (include "dpd.args.own" (dict "root" .root "section" $section))) }}{{ end -}}
{{- range $place := $places -}}
{{- range last $place | fromJsonArray -}}
{{- if or (eq .key "kv-events-config") (hasPrefix "kv-events-config." .key) }}
{{ first $place }}: --kv-events-config is set, and kvaware gives workers its own; remove it
{{- else if and (eq .key "enable-prefix-caching") (regexMatch "^--no[-_]" (first .words)) }}
{{ first $place }}: {{ first .words }} leaves kvaware nothing to know; remove it
{{- end -}}
{{- end -}}
{{- end -}}
{{- $taken := dict "8081" "the reverse proxy" "9113" "the reverse proxy's metrics" "9464" "the collector" "13133" "the collector's health check" -}}
{{- $_ := set $taken (int .root.Values.worker.modelInvocationPort.containerPort | toString) "the engine" -}}
{{- $ports := .root.Values.router.routing.kvEvents -}}
{{- range $key := list "port" "replayPort" -}}
{{- with get $taken (int (get $ports $key) | toString) }}
router.routing.kvEvents.{{ $key }}: {{ int (get $ports $key) }} is taken in a worker's pod by {{ . }}; use another port
{{- end -}}
{{- end -}}
{{- if eq (int $ports.port) (int $ports.replayPort) }}
router.routing.kvEvents.replayPort: {{ int $ports.replayPort }} is kvEvents.port as well; use another port
{{- end -}}
{{- end }}
