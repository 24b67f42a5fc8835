package chart

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// checkPod checks what each pod must have, whatever the values.
func checkPod(t *testing.T, all objects) {
	t.Helper()
	pod := all.deployment.Spec.Template.Spec
	container := pod.Containers[0]
	security := container.SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || !*security.ReadOnlyRootFilesystem || *security.AllowPrivilegeEscalation ||
		*pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
		t.Errorf("the pod may do more than it needs: %+v", pod)
	}
	ports := map[string]bool{}
	for _, port := range container.Ports {
		ports[port.Name] = true
	}
	probes := []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe}
	for index, path := range []string{"/healthz", "/healthz", "/readyz"} {
		if get := probes[index].HTTPGet; get.Path != path || !ports[get.Port.StrVal] {
			t.Errorf("probe %d: %+v", index, get)
		}
	}
	for _, service := range all.services {
		for _, port := range service.Spec.Ports {
			if !ports[port.TargetPort.StrVal] {
				t.Errorf("%s leads to %s, which the pod lacks", service.Name, port.TargetPort.StrVal)
			}
		}
	}
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
	}
	for _, mount := range container.VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("no volume %s", mount.Name)
		}
		delete(volumes, mount.Name)
	}
	if len(volumes) != 0 {
		t.Errorf("volumes without a mount: %v", volumes)
	}
}

// checkSelectors checks that whatever selects pods or services finds those of the release.
func checkSelectors(t *testing.T, all objects) {
	t.Helper()
	pod := labels.Set(all.deployment.Spec.Template.Labels)
	selectors := map[string]map[string]string{"deployment": all.deployment.Spec.Selector.MatchLabels}
	for _, service := range all.services {
		selectors[service.Name] = service.Spec.Selector
	}
	for _, policy := range all.policies {
		selectors["policy"] = policy.Spec.PodSelector.MatchLabels
	}
	for _, budget := range all.budgets {
		selectors["budget"] = budget.Spec.Selector.MatchLabels
	}
	for name, selector := range selectors {
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(pod) {
			t.Errorf("%s selects %v, the pod has %v", name, selector, pod)
		}
	}
	for _, monitor := range all.monitors {
		found := 0
		for _, service := range all.services {
			if labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("the monitor finds %d services", found)
		}
	}
}

// checkConfiguration lets the server check what the pod would start it with: its variables, and the files that
// they name, with contents of the right kind.
func checkConfiguration(t *testing.T, all objects) {
	t.Helper()
	etc := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(etc, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key := selfSigned(t)
	contents := map[string]map[string]string{
		"keys":        {"access-key": strings.Repeat("a", 64), "secondary-access-key": strings.Repeat("b", 64)},
		"tls":         {"tls.crt": certificate, "tls.key": key},
		"admin":       {"token": strings.Repeat("c", 64)},
		"registry":    {"registry": "redis://:password@redis:6379"},
		"peer-tls":    {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate},
		"peer-secret": {"peer-secret": strings.Repeat("d", 32)},
	}
	for _, mount := range all.deployment.Spec.Template.Spec.Containers[0].VolumeMounts {
		for file, text := range contents[mount.Name] {
			write(mount.Name+"/"+file, text)
		}
	}
	write("tieline.toml", all.configMap.Data["tieline.toml"])
	command := exec.Command(os.Getenv("TIELINE_BIN"), "config", "check")
	command.Env = []string{}
	for _, variable := range all.deployment.Spec.Template.Spec.Containers[0].Env {
		value := strings.Replace(variable.Value, "/etc/tieline/", etc+"/", 1)
		command.Env = append(command.Env, variable.Name+"="+value)
	}
	out, err := command.CombinedOutput()
	if err != nil || string(out) != "ok\n" {
		t.Errorf("%v: %s\n%v", err, out, command.Env)
	}
}

func selfSigned(t *testing.T) (string, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "tieline-peers"},
		DNSNames:     []string{"tieline-peers"},
		NotAfter:     time.Now().AddDate(1, 0, 0), // one that expires soon is warned of
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &about, &about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return text("CERTIFICATE", certificate), text("PRIVATE KEY", key)
}
