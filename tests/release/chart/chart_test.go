// Package chart checks the Helm chart: each set in values/ by helm and by the types of Kubernetes, and that each
// set in refused/ is refused with the text of its first line.
//
// TIELINE_BIN is the server, which checks the configuration that a pod would start with.
package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../../../packaging/helm/tieline"

// A build from source takes itself for an old Kubernetes.
var kubeVersion = []string{"--kube-version", "1.33.0"}

// objects are what a set of values makes.
type objects struct {
	deployment apps.Deployment
	services   []core.Service
	configMap  core.ConfigMap
	secrets    []core.Secret
	policies   []networking.NetworkPolicy
	ingresses  []networking.Ingress
	budgets    []policy.PodDisruptionBudget
	monitors   []monitoring.ServiceMonitor
}

func helm(arguments ...string) (string, string, error) {
	command := exec.Command("go", append([]string{"tool", "helm"}, arguments...)...)
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err := command.Run()
	return out.String(), errors.String(), err
}

func template(values string) (string, string, error) {
	return helm(append([]string{"template", "prod", chart, "--namespace", "chat", "--values", values}, kubeVersion...)...)
}

// decode reads one document into its type. A field that the type lacks is an error, and so is one given twice.
func decode[T any](t *testing.T, document []byte) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict(document, &object); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	return object
}

func parse(t *testing.T, text string) objects {
	t.Helper()
	var all objects
	for _, document := range strings.Split(text, "\n---\n") {
		bytes := []byte(document)
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(bytes, &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "Deployment":
			all.deployment = decode[apps.Deployment](t, bytes)
		case "Service":
			all.services = append(all.services, decode[core.Service](t, bytes))
		case "ConfigMap":
			all.configMap = decode[core.ConfigMap](t, bytes)
		case "Secret":
			all.secrets = append(all.secrets, decode[core.Secret](t, bytes))
		case "NetworkPolicy":
			all.policies = append(all.policies, decode[networking.NetworkPolicy](t, bytes))
		case "Ingress":
			all.ingresses = append(all.ingresses, decode[networking.Ingress](t, bytes))
		case "PodDisruptionBudget":
			all.budgets = append(all.budgets, decode[policy.PodDisruptionBudget](t, bytes))
		case "ServiceMonitor":
			all.monitors = append(all.monitors, decode[monitoring.ServiceMonitor](t, bytes))
		default:
			t.Fatalf("unexpected kind %q in\n%s", kind.Kind, document)
		}
	}
	return all
}

func sets(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no values in %s: %v", folder, err)
	}
	named := map[string]string{}
	for _, file := range files {
		named[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
	}
	return named
}

func render(t *testing.T, set string) objects {
	t.Helper()
	out, errors, err := template("values/" + set + ".yaml")
	if err != nil {
		t.Fatal(errors)
	}
	return parse(t, out)
}

func TestEachSetPassesHelmAndTheTypesOfKubernetes(t *testing.T) {
	for name, file := range sets(t, "values") {
		t.Run(name, func(t *testing.T) {
			lint := append([]string{"lint", "--strict", chart, "--values", file}, kubeVersion...)
			if out, errors, err := helm(lint...); err != nil {
				t.Fatal(out, errors)
			}
			all := render(t, name)
			checkPod(t, all)
			checkSelectors(t, all)
			checkConfiguration(t, all)
		})
	}
}

func TestAMistakeIsRefusedWithWhatToDo(t *testing.T) {
	for name, file := range sets(t, "refused") {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			expected := strings.TrimPrefix(strings.SplitN(string(text), "\n", 2)[0], "# ")
			_, errors, err := template(file)
			if err == nil || !strings.Contains(errors, expected) {
				t.Fatalf("expected %q, got %v: %s", expected, err, errors)
			}
		})
	}
}

func TestTheChartStartsTheServerOfItsVersion(t *testing.T) {
	var about struct{ Version, AppVersion string }
	text, err := os.ReadFile(chart + "/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &about); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(os.Getenv("TIELINE_BIN"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != "tieline "+about.AppVersion+"\n" || about.Version != about.AppVersion {
		t.Fatalf("chart %s for server %s, but the server says %s", about.Version, about.AppVersion, out)
	}
}

func TestAClusterHasWhatTheValuesSay(t *testing.T) {
	all := render(t, "cluster")
	pod := all.deployment.Spec.Template.Spec
	// 15 s delay, 5 s HTTP, 90 s drain, 5 s events, 10 s to spare.
	if grace := *pod.TerminationGracePeriodSeconds; grace != 125 {
		t.Errorf("grace period %d", grace)
	}
	if *all.deployment.Spec.Replicas != 3 || len(all.budgets) != 1 || len(all.monitors) != 1 || len(all.ingresses) != 1 {
		t.Errorf("%+v", all)
	}
	if len(all.secrets) != 0 {
		t.Errorf("secrets beside those of the values: %+v", all.secrets)
	}
	from := map[string]int{}
	for _, rule := range all.policies[0].Spec.Ingress {
		from[rule.Ports[0].Port.StrVal] = len(rule.From)
	}
	// Everybody, the nodes and the backends, the monitoring.
	if from["http"] != 0 || from["peers"] != 2 || from["admin"] != 1 {
		t.Errorf("who may connect: %v", from)
	}
	credentials := all.monitors[0].Spec.Endpoints[0].Authorization.Credentials
	if credentials.Name != "tieline-admin" || credentials.Key != "token" {
		t.Errorf("token of the monitor: %+v", credentials)
	}
}

func TestAOneNodeServerHasNothingOfAClusterAndIsProbedOverItsTLS(t *testing.T) {
	all := render(t, "one-node")
	if len(all.services) != 1 || len(all.budgets)+len(all.monitors)+len(all.policies) != 0 {
		t.Errorf("%+v", all)
	}
	container := all.deployment.Spec.Template.Spec.Containers[0]
	for _, probe := range []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		if probe.HTTPGet.Scheme != core.URISchemeHTTPS {
			t.Errorf("%+v", probe.HTTPGet)
		}
	}
}

func TestSecretsOfTheValuesAreInASecret(t *testing.T) {
	out, _, err := template("values/plaintext.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := parse(t, out)
	data := all.secrets[0].StringData
	if data["registry"] != "redis://:password@redis:6379" || data["access-key"] == "" {
		t.Errorf("%v", data)
	}
	if strings.Count(out, "password") != 1 || strings.Count(out, data["access-key"]) != 1 {
		t.Error("a secret is also elsewhere")
	}
}
