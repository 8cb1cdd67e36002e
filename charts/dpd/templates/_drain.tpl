{{/* How a worker stops: it goes on while routers forget it, then the engine ends what it has. */}}

{{/* Seconds that the engine is waited for after the drain, 15 of the grace period being left for its end; 0: it is not. */}}
{{- define "dpd.drain.seconds" -}}
{{- $left := sub (int .Values.terminationGracePeriodSeconds) (add 15 (int .Values.drainSeconds)) -}}
{{ ternary (max 0 $left) 0 (gt (int .Values.drainSeconds) 0) }}
{{- end }}

{{/* "true" when workers need the program. Takes the root. */}}
{{- define "dpd.drain.waits" -}}
{{- if gt (include "dpd.drain.seconds" . | int) 0 }}true{{ end -}}
{{- end }}

{{/*
The engine's: vLLM aborts every request at SIGTERM, so SIGTERM comes when it has none. The proxy needs no more than
dpd.lifecycle: it stops at SIGQUIT, its image's signal, at which nginx ends its streams first. An image without python3
drains for drainSeconds and no longer. Takes the root.
*/}}
{{- define "dpd.drain.lifecycle" -}}
{{- if include "dpd.drain.waits" . -}}
{{- $url := printf "http://127.0.0.1:%d/metrics" (int .Values.worker.modelInvocationPort.containerPort) -}}
preStop:
  exec:
    command:
      - sh
      - -c
      - sleep "$0"; exec "$@"
      - {{ .Values.drainSeconds | quote }}
      - python3
      - -B
      - /etc/dpd-worker/drain.py
      - --url
      - {{ $url }}
      - --seconds
      - {{ include "dpd.drain.seconds" . | quote }}
{{- else -}}
{{ include "dpd.lifecycle" . }}
{{- end -}}
{{- end }}
