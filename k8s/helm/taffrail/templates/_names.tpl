{{- define "chart.selectorLabels" -}}
{{- if and (not .Values.deployment.enabled) (not .Values.selector) }}
{{- fail "deployment.enabled is false: say which pods are to be watched, with `selector`" }}
{{- end }}
{{- if .Values.selector -}}
{{ toYaml .Values.selector }}
{{- else -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- end -}}

{{- define "chart.labels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "chart.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "taffrail.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "chart.modelImage" -}}
{{- $image := .Values.model.image -}}
{{- if not $image.repository }}
{{- fail "model.image.repository: which image is the model's? Give it, for instance --set model.image.repository=ghcr.io/you/income-model" }}
{{- end -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag }}
{{- end -}}
{{- end -}}

{{/* The tag, where a label may hold it; a digest or `latest` says nothing of a version. */}}
{{- define "chart.modelVersion" -}}
{{- $tag := ternary "" .Values.model.image.tag (or (ne .Values.model.image.digest "") (eq .Values.model.image.tag "latest")) -}}
{{- default $tag .Values.model.version | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- end -}}

{{/* The hooks of the model's container: its own, or the sleep that keeps it up while endpoints are withdrawn. */}}
{{- define "chart.modelLifecycle" -}}
{{- $sleep := include "taffrail.modelLifecycle" . -}}
{{- if and .Values.model.lifecycle.preStop $sleep }}
{{- fail "model.lifecycle.preStop stands in the way of the sleep before the model ends. Sleep in your own hook, for taffrail.drain.preStopSeconds, and set taffrail.drain.preStopAction: none" }}
{{- end -}}
{{- with $sleep }}
{{- . }}
{{- end }}
{{- with .Values.model.lifecycle }}
{{ toYaml . }}
{{- end }}
{{- end -}}
