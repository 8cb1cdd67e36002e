{{/* What NOTES.txt says beside commands. */}}

{{/* Keys of the contract that are valid and that this chart draws nothing for, with what is missing. */}}
{{- define "dpd.notDrawn.rows" -}}
dataCapture: no request or answer is recorded
dnsConfig: no DNS record
endpointName: no SageMaker endpoint is registered
kvCacheSpec.cacheConfigFile: lmcache.yaml is written from the other keys
kvCacheSpec.enableL2Cache: no second cache tier
modelCacheConfig: no cache of weights on nodes
tlsConfig: no certificate
worker.requestLimits: no limit on requests
{{- end }}

{{/* The ones among them that these values hold, one line each. */}}
{{- define "dpd.notDrawn" -}}
{{- range $path, $missing := include "dpd.notDrawn.rows" . | fromYaml -}}
{{- $node := $.Values -}}
{{- range splitList "." $path }}{{ $node = get ($node | default dict) . }}{{ end -}}
{{- if $node }}
  {{ $path }}: {{ $missing }}
{{- end -}}
{{- end -}}
{{- if and .Values.lmcache (eq (.Values.lmcache.mode | default "InProcess") "MultiProcess") }}
  lmcache.mode: LMCache runs inside the engine
{{- end -}}
{{- end }}

{{/* What is legal and unwise, one line each. */}}
{{- define "dpd.notes.warnings" -}}
{{- if .Values.pdSpec -}}
{{- $args := (include "dpd.role" (dict "root" . "role" "decode") | fromJson).args -}}
{{- if not (has (include "dpd.args.value" (dict "args" $args "key" "data-parallel-size")) (list "" "1")) }}
  --data-parallel-size: copies of one engine in a pod share its transfer ports, and only the first gets them; raise replicas
{{- end -}}
{{- if not .Values.transfer.pagesPerDecoder }}
  transfer.pagesPerDecoder: absent, so the router cannot tell when a decoder's buffer is full, and a full one wedges prefillers
{{- end -}}
{{- end -}}
{{- end }}

{{/* The model's name in a request: --served-model-name's first, --model's, or the words that stand for it. */}}
{{- define "dpd.notes.model" -}}
{{- $args := (include "dpd.role" (dict "root" . "role" (ternary "decode" "worker" (not (empty .Values.pdSpec)))) | fromJson).args -}}
{{- $served := include "dpd.args.value" (dict "args" $args "key" "served-model-name") -}}
{{ $served | default (include "dpd.args.value" (dict "args" $args "key" "model")) | default (include "dpd.model.path" .) }}
{{- end }}
