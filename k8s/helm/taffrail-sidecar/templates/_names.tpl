{{/* Everything here takes the context of the chart that includes it, and reads its `.Values.taffrail`. */}}

{{/* The release of these templates, and of the image that goes with them. */}}
{{- define "taffrail.version" -}}0.1.0{{- end -}}

{{- define "taffrail.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{ default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Of what belongs to the sidecar: its configuration, and what watches it. */}}
{{- define "taffrail.ownName" -}}
{{- $full := include "taffrail.fullname" . -}}
{{ ternary $full (printf "%s-taffrail" ($full | trunc 54 | trimSuffix "-")) (contains "taffrail" $full) }}
{{- end -}}

{{- define "taffrail.serviceName" -}}
{{ default .Release.Name .Values.taffrail.serviceName }}
{{- end -}}

{{- define "taffrail.image" -}}
{{- $image := .Values.taffrail.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default (include "taffrail.version" .) $image.tag }}
{{- end -}}
{{- end -}}

{{/* "true" or empty. */}}
{{- define "taffrail.native" -}}
{{- $asked := toString .Values.taffrail.nativeSidecar -}}
{{- $known := semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version -}}
{{- if and (eq $asked "true") (semverCompare "<1.28.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "taffrail.nativeSidecar: true, but Kubernetes %s has no native sidecars: they came with 1.28, behind a feature gate. Use auto." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if or (eq $asked "true") (and (eq $asked "auto") $known) -}}true{{- end -}}
{{- end -}}
