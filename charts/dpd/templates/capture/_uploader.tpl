{{/* s3-uploader: the container that stores what the proxy beside it copies. All take {root, facts}. */}}

{{- define "dpd.capture.isBeside" -}}
{{ include "dpd.capture.on" (dict "root" .root "role" .facts.role) }}
{{- end }}

{{- define "dpd.container.uploader" -}}
{{- $capture := .root.Values.capture -}}
name: s3-uploader
image: {{ $capture.image | default .root.Values.worker.image | quote }}
command:
  {{- include "dpd.capture.command" .root | fromJsonArray | toYaml | nindent 2 }}
env:
  {{- include "dpd.capture.env" .root | fromYamlArray | toYaml | nindent 2 }}
{{- with $capture.s3.credentialsSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
resources:
  {{- toYaml (.root.Values.s3UploaderResources | default $capture.resources) | nindent 2 }}
securityContext:
  {{- include "dpd.security" (dict "own" .root.Values.podSecurity.sidecars) | nindent 2 }}
volumeMounts:
  - {name: capture-scripts, mountPath: /etc/dpd-capture, readOnly: true}
  # The proxy's: there is the socket between the two.
  - {name: proxy-tmp, mountPath: /tmp}
{{- end }}

{{- define "dpd.capture.volumes" -}}
{{- if include "dpd.capture.isBeside" . }}
- name: capture-scripts
  configMap: {name: {{ include "dpd.capture.scripts" .root }}}
{{- end }}
{{- end }}

{{/* The program, and the modules that it shares with the model fetcher. Takes the root. */}}
{{- define "dpd.capture.files" -}}
{{- range $path, $content := .Files.Glob "files/capture/*.py" }}
{{ base $path }}: |
  {{- toString $content | trim | nindent 2 }}
{{- end }}
{{- range list "model_aws.py" "model_files.py" "model_http.py" }}
{{ . }}: |
  {{- $.Files.Get (print "files/model/" .) | trim | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes the root. */}}
{{- define "dpd.capture.command" -}}
{{- $capture := .Values.capture -}}
{{- $pod := include "dpd.capture.pod" . | fromJson -}}
{{- $buffer := $pod.bufferConfig | default dict -}}
{{- $types := $pod.captureContentTypeHeader | default dict -}}
{{- $endpoint := .Values.endpointName | default (include "dpd.name" .) -}}
{{- $to := list (include "dpd.capture.uri" .) (include "dpd.capture.folder" .) "pod" $endpoint "AllTraffic" | join "/" -}}
{{- $options := list
  (list "--to" $to)
  (list "--socket" "/tmp/capture.sock")
  (list "--proxy-pid" "/tmp/nginx.pid")
  (list "--region" ($capture.s3.region | default (.Values.modelSourceConfig.s3Storage | default dict).region))
  (list "--endpoint" $capture.s3.endpoint)
  (list "--kms-key" $pod.kmsKeyId)
  (list "--batch-records" (int ($buffer.batchSize | default 10) | toString))
  (list "--flush-seconds" (int ($buffer.flushIntervalSeconds | default 60) | toString))
  (list "--memory-mib" (int $capture.memoryMiB | toString))
  (list "--json-types" (join "," ($types.jsonContentTypes | default list)))
  (list "--csv-types" (join "," ($types.csvContentTypes | default list)))
  (list "--grace-seconds" (max 1 (sub (int .Values.terminationGracePeriodSeconds) 5) | toString)) -}}
{{- $command := list "python3" "-B" "-u" "/etc/dpd-capture/upload_captures.py" -}}
{{- range $options }}{{ if last . }}{{ $command = concat $command . }}{{ end }}{{ end -}}
{{ toJson $command }}
{{- end }}

{{/*
Of the worker's variables those that decide how AWS is reached. The image is the engine's, and on nodes whose runtime gives GPUs
to whoever asks, this container asks for none. Takes the root.
*/}}
{{- define "dpd.capture.env" -}}
{{- $env := list
  (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "NVIDIA_VISIBLE_DEVICES" "value" "void") -}}
{{- range .Values.worker.environmentVariables -}}
  {{- if regexMatch "^(AWS_[A-Z_]+|SSL_CERT_(FILE|DIR)|(?i:(https?|no|all)_proxy))$" .name }}{{ $env = append $env . }}{{ end -}}
{{- end -}}
{{ toYaml $env }}
{{- end }}
