{{/* Names and labels of the controller's own objects. */}}

{{- define "dpd-operator.selector" -}}
app.kubernetes.io/name: dpd-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "dpd-operator.labels" -}}
{{ include "dpd-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* Objects of the cluster itself: two installations in two namespaces do not share them. */}}
{{- define "dpd-operator.name.qualified" -}}
{{ .Release.Namespace }}-{{ .Values.name }}
{{- end }}

{{- define "dpd-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}
