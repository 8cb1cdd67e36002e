{{/* The one worker pod that every role renders from, and the Deployment and Service around it. All take {root, facts}. */}}

{{- define "dpd.deployment" -}}
{{- $component := dict "root" .root "component" .facts.role -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .facts.name }}
  namespace: {{ include "dpd.namespace" .root }}
  labels:
    {{- include "dpd.labels" $component | nindent 4 }}
  {{- with include "dpd.tags.annotations" $component }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
spec:
  {{- include "dpd.autoscaling.replicas" (dict "root" .root "role" .facts.role "replicas" .facts.replicas) | nindent 2 }}
  progressDeadlineSeconds: {{ int (.root.Values.maxDeployTimeInSeconds | default 3600) }}
  strategy:
    {{- include "dpd.rollout" (dict "root" .root "role" .facts.role) | nindent 4 }}
  selector:
    matchLabels:
      {{- include "dpd.selector" $component | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "dpd.labels.pod" $component | nindent 8 }}
        {{- with include "dpd.revision.label" (dict "root" .root "role" .facts.role) }}{{ . | nindent 8 }}{{ end }}
      annotations:
        {{- include "dpd.pod.annotations" . | nindent 8 }}
    spec:
      {{- include "dpd.pod.spec" . | nindent 6 }}
{{- end }}

{{/* A changed configuration is a new pod: no process here reads its file twice. */}}
{{- define "dpd.pod.annotations" -}}
kubectl.kubernetes.io/default-container: {{ .facts.name }}
checksum/proxy: {{ include "dpd.proxy.checksum" . }}
{{- with include "dpd.cache.configured" . }}
checksum/lmcache: {{ . | sha256sum }}
{{- end }}
{{- if eq (include "dpd.metrics.enabled" .root) "true" }}
checksum/collector: {{ include "dpd.collector.file" .root | sha256sum }}
{{- end }}
{{- if include "dpd.capture.isBeside" . }}
checksum/capture: {{ include "dpd.capture.files" .root | sha256sum }}
{{- end }}
{{- with (.root.Values.kubernetes | default dict).podTemplateAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dpd.pod.spec" -}}
{{- $kubernetes := .root.Values.kubernetes | default dict -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with include "dpd.workers.account" .root }}
serviceAccountName: {{ . }}
{{- end }}
{{- with $kubernetes.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
terminationGracePeriodSeconds: {{ int .root.Values.terminationGracePeriodSeconds }}
securityContext:
  seccompProfile: {type: RuntimeDefault}
{{- include "dpd.scheduling" . }}
{{- include "dpd.pod.initContainers" . }}
containers:
  - {{- include "dpd.container.worker" . | nindent 4 }}
  - {{- include "dpd.container.proxy" . | nindent 4 }}
  {{- if eq (include "dpd.metrics.enabled" .root) "true" }}
  - {{- include "dpd.container.collector" (dict "root" .root "env" (include "dpd.collector.env" . | fromJsonArray)) | nindent 4 }}
  {{- end }}
  {{- if include "dpd.capture.isBeside" . }}
  - {{- include "dpd.container.uploader" . | nindent 4 }}
  {{- end }}
volumes:
  {{- include "dpd.volumes" . | trim | nindent 2 }}
{{- end }}

{{- define "dpd.container.worker" -}}
{{- $worker := .root.Values.worker -}}
name: {{ .facts.name }}
image: {{ $worker.image | quote }}
{{- with $worker.command }}
command: {{ toJson . }}
{{- end }}
{{- with .facts.args }}
args:
  {{- range . }}
  - {{ toJson . }}
  {{- end }}
{{- end }}
{{- with $worker.workingDir }}
workingDir: {{ . | quote }}
{{- end }}
ports:
  - name: {{ $worker.modelInvocationPort.name | default "http" }}
    containerPort: {{ int $worker.modelInvocationPort.containerPort }}
env:
  {{- include "dpd.env" . | nindent 2 }}
resources: {{ include "dpd.resources" . }}
{{- include "dpd.probes" . }}
lifecycle:
  {{- include "dpd.drain.lifecycle" .root | nindent 2 }}
securityContext:
  {{- include "dpd.security" (dict "own" (include "dpd.cache.security" . | fromJson) "add" (ternary (list "IPC_LOCK") list .facts.efa)) | nindent 2 }}
volumeMounts:
  {{- include "dpd.volumes.worker" . | nindent 2 }}
{{- end }}

{{/* Long enough for routers to stop sending: they look the pods up again every few seconds. */}}
{{- define "dpd.lifecycle" -}}
preStop:
  exec: {command: [sleep, {{ .Values.drainSeconds | quote }}]}
{{- end }}

{{- define "dpd.service" -}}
{{- $component := dict "root" .root "component" .facts.role -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .facts.name }}
  namespace: {{ include "dpd.namespace" .root }}
  labels:
    {{- include "dpd.labels" $component | nindent 4 }}
spec:
  type: ClusterIP
  clusterIP: None
  selector:
    {{- include "dpd.selector" $component | nindent 4 }}
  ports:
    - name: http
      port: 8081
      targetPort: proxy
{{- end }}
