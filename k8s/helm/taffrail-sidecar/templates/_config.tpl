{{/* Taffrail's YAML: `config`, and the keys that follow from other values. */}}
{{- define "taffrail.config" -}}
{{- $values := .Values.taffrail -}}
{{- $given := deepCopy (default dict $values.config) -}}
{{- range $key, $instead := dict
      "listen" "taffrail.address and taffrail.ports.traffic"
      "admin" "taffrail.ports.admin and taffrail.adminToken"
      "data_dir" "taffrail.data"
      "drain" "taffrail.drain"
      "tls" "taffrail.tls" }}
  {{- if hasKey $given $key }}
    {{- fail (printf "taffrail.config.%s is set by %s: leave it out of taffrail.config" $key $instead) }}
  {{- end }}
{{- end }}
{{- if and (kindIs "map" $given.upstream) (hasKey $given.upstream "url") }}
  {{- fail "taffrail.config.upstream.url is set by taffrail.upstream.port and .scheme: leave it out of taffrail.config" }}
{{- end }}
{{- if and (hasKey $given "archive") (not (kindIs "map" $given.archive)) }}
  {{- fail "taffrail.config.archive: whether there is one is said by taffrail.data.archiveMiB (0 for none); leave it out of taffrail.config, or give a map" }}
{{- end }}
{{- if and (kindIs "map" $given.archive) (hasKey $given.archive "max_bytes") }}
  {{- fail "taffrail.config.archive.max_bytes is set by taffrail.data.archiveMiB, to which the volume is fitted: leave it out of taffrail.config" }}
{{- end }}
{{- if and $values.baseline.configMap (hasKey $given "baseline") (not (kindIs "map" $given.baseline)) }}
  {{- fail "taffrail.config.baseline and taffrail.baseline.configMap both name a baseline: give one" }}
{{- end }}
{{- $own := dict
      "upstream" (dict "url" (printf "%s://127.0.0.1:%d" $values.upstream.scheme (int $values.upstream.port)))
      "listen" (printf "%s:%d" $values.address (int $values.ports.traffic))
      "data_dir" "/var/lib/taffrail"
      "drain" (dict "delay" (printf "%ss" (include "taffrail.drainDelay" .)) "timeout" (printf "%ds" (int $values.drain.timeoutSeconds))) -}}
{{- if $values.adminToken.existingSecret }}
  {{- $_ := set $own "admin" (dict "token_file" "/etc/taffrail-token/token") }}
{{- end }}
{{- if eq (int $values.data.archiveMiB) 0 }}
  {{- if hasKey $given "archive" }}
    {{- fail "taffrail.config.archive is about an archive, and taffrail.data.archiveMiB: 0 says there is none: leave out either" }}
  {{- end }}
  {{- $_ := set $own "archive" "off" }}
{{- else }}
  {{- $_ := set $own "archive" (dict "max_bytes" (printf "%dMiB" (int $values.data.archiveMiB))) }}
{{- end }}
{{- if $values.baseline.configMap }}
  {{- if kindIs "map" $given.baseline }}
    {{- fail "taffrail.config.baseline is about learning one from traffic, and taffrail.baseline.configMap gives one: leave out either" }}
  {{- end }}
  {{- $_ := set $own "baseline" "/etc/taffrail-baseline/baseline.json" }}
{{- end }}
{{- if $values.tls.existingSecret }}
  {{- $tls := dict "certificate" "/etc/taffrail-tls/tls.crt" "key" "/etc/taffrail-tls/tls.key" }}
  {{- if $values.tls.clientCertificates }}
    {{- $_ := set $tls "client_ca" "/etc/taffrail-tls/ca.crt" }}
  {{- end }}
  {{- $_ := set $own "tls" $tls }}
{{- else if $values.tls.clientCertificates }}
  {{- fail "taffrail.tls.clientCertificates needs taffrail.tls.existingSecret, with ca.crt in it" }}
{{- end }}
{{- $usual := dict "model" (dict "name" (include "taffrail.serviceName" .)) -}}
{{- /* Without a limit there would be a thread for each core of the node. */}}
{{- if not (dig "limits" "cpu" "" (default dict $values.resources)) }}
  {{- $_ := set $usual "threads" 2 }}
{{- end }}
{{- $merged := mergeOverwrite $usual $given $own -}}
{{ toYaml $merged }}
{{- end -}}

{{- define "taffrail.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "taffrail.ownName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/component: taffrail
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
data:
  taffrail.yaml: |
    {{- include "taffrail.config" . | nindent 4 }}
{{- end -}}
