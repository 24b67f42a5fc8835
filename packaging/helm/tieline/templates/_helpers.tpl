{{- define "tieline.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- $name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "tieline.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tieline.labels" -}}
{{ include "tieline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tieline.isCluster" -}}
{{- if or .Values.cluster.registry.existingSecret .Values.cluster.registry.url }}true{{ end }}
{{- end }}

{{- /* Where the access key is: the secret of the values, or that of the chart. */}}
{{- define "tieline.keySecret" -}}
{{- if .Values.auth.existingSecret }}{{ .Values.auth.existingSecret }}{{ else if .Values.auth.accessKey }}{{ include "tieline.name" . }}{{ end }}
{{- end }}

{{- define "tieline.registrySecret" -}}
{{- .Values.cluster.registry.existingSecret | default (include "tieline.name" .) }}
{{- end }}

{{- define "tieline.scheme" -}}
{{- if .Values.tls.existingSecret }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{- /* HTTP requests in progress and events have 5 s each; 10 s to spare. */}}
{{- define "tieline.gracePeriod" -}}
{{- add .Values.drain.delaySeconds 5 .Values.drain.timeoutSeconds 5 10 }}
{{- end }}

{{- /* What the schema cannot say. Each message says what to set. */}}
{{- define "tieline.validate" -}}
{{- $v := .Values }}
{{- if not (or $v.auth.existingSecret $v.auth.accessKey $v.auth.anonymous) }}
{{- fail "who may connect? set auth.existingSecret (or auth.accessKey) to a key from `tieline key`, or auth.anonymous=true if everybody who can connect is trusted" }}
{{- end }}
{{- if and (gt (int $v.replicas) 1) (not (include "tieline.isCluster" .)) }}
{{- fail "replicas > 1 needs a registry, or the nodes would not know each other's clients: set cluster.registry.existingSecret or cluster.registry.url" }}
{{- end }}
{{- if and (include "tieline.isCluster" .) (not $v.cluster.peers.tls.existingSecret) (not $v.cluster.peers.plaintext) }}
{{- fail "links between nodes need protection: set cluster.peers.tls.existingSecret, or cluster.peers.plaintext=true if the network of the pods is trusted" }}
{{- end }}
{{- if lt (int $v.drain.timeoutSeconds) (int (add $v.drain.windowSeconds 5)) }}
{{- fail "drain.timeoutSeconds must be at least drain.windowSeconds and 5 s" }}
{{- end }}
{{- if and $v.admin.enabled (not $v.admin.existingSecret) }}
{{- fail "the admin port needs a token: set admin.existingSecret to a secret with `token`" }}
{{- end }}
{{- if and $v.admin.serviceMonitor.enabled (not $v.admin.enabled) }}
{{- fail "admin.serviceMonitor needs the admin port: set admin.enabled=true" }}
{{- end }}
{{- end }}
