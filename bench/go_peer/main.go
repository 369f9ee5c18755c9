// The Go peer of bench/reconcile.py: the same reconcile as the operator's for a FhirEndpoint without an organisation,
// written as most Go teams write it, with controller-runtime and a cached client.
//
// For each new generation: one TLS connection to the EHR, CapabilityStatement and SMART configuration over it, a condition
// for each check, and the whole status in one server-side apply, only when it differs from what stands.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"reflect"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

const (
	workers    = 32 // as ours
	interval   = 5 * time.Minute
	maxLatency = 5 * time.Second
	maxBytes   = 4 << 20
	timeout    = 20 * time.Second
	connect    = 5 * time.Second
	manager    = "go-peer"
)

var endpointKind = schema.GroupVersionKind{Group: "ehrconnector.io", Version: "v1alpha1", Kind: "FhirEndpoint"}

type condition struct{ kind, status, reason, message string }

type answer struct {
	status   int
	elapsed  time.Duration
	document map[string]any
	err      error
}

type reconciler struct {
	client.Client
	tls *tls.Config
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(endpointKind)
	if err := r.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	base, _, _ := unstructured.NestedString(object.Object, "spec", "baseURL")
	parsed, err := url.Parse(base)
	if err != nil {
		return ctrl.Result{}, nil
	}
	metadata, smart, expiry := r.observe(ctx, base)
	status := status(object, parsed, metadata, smart, expiry)
	standing, _, _ := unstructured.NestedMap(object.Object, "status")
	if !reflect.DeepEqual(standing, status) {
		applied := &unstructured.Unstructured{Object: map[string]any{"status": status}}
		applied.SetGroupVersionKind(endpointKind)
		applied.SetNamespace(object.GetNamespace())
		applied.SetName(object.GetName())
		err := r.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(applied),
			client.FieldOwner(manager), client.ForceOwnership)
		if err != nil {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
	}
	return ctrl.Result{RequeueAfter: time.Duration(float64(interval) * (0.9 + 0.2*rand.Float64()))}, nil
}

// observe asks over one connection, as our probes do: no state is kept from one validation to the next.
func (r *reconciler) observe(ctx context.Context, base string) (answer, answer, time.Time) {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig:     r.tls,
		TLSHandshakeTimeout: connect,
	}
	defer transport.CloseIdleConnections()
	http := &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var expiry time.Time
	metadata := fetch(ctx, http, base+"/metadata", &expiry)
	if metadata.err != nil {
		return metadata, metadata, expiry
	}
	return metadata, fetch(ctx, http, base+"/.well-known/smart-configuration", &expiry), expiry
}

func fetch(ctx context.Context, client *http.Client, address string, expiry *time.Time) answer {
	began := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{err: err}
	}
	request.Header.Set("Accept", "application/fhir+json, application/json;q=0.9")
	response, err := client.Do(request)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBytes+1))
	if err == nil && len(body) > maxBytes {
		err = errors.New("the answer is too long")
	}
	found := answer{status: response.StatusCode, elapsed: time.Since(began), err: err}
	if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
		*expiry = response.TLS.PeerCertificates[0].NotAfter
	}
	if err == nil {
		_ = json.Unmarshal(body, &found.document)
	}
	return found
}

// status returns the whole status: the same conditions as ours, in the same order, with texts of the same length.
func status(object *unstructured.Unstructured, base *url.URL, metadata, smart answer, expiry time.Time) map[string]any {
	probes := []condition{{"UrlWellFormed", "True", "WellFormed", "baseURL is an https URL"}}
	probes = append(probes, network(base, metadata, smart)...)
	waiting := "waiting for the EHRConnectorConfig 'bench' in this namespace. Author: apply it, or correct configRef; this goes on as soon as it is there"
	unasked := "waiting for the EHRConnectorConfig 'bench' in this namespace. Author: apply it, or correct configRef; it is looked at as soon as it is there"
	probes = append(probes,
		condition{"TokenGranted", "Unknown", "ConfigNotFound", unasked},
		condition{"AppointmentSearchOk", "Unknown", "ConfigNotFound", unasked})
	summary := condition{"Validated", "Unknown", "ConfigNotFound", "TokenGranted: " + unasked}
	for _, probe := range probes {
		if probe.status == "False" {
			summary = condition{"Validated", "False", probe.reason, probe.kind + ": " + probe.message}
			break
		}
	}
	all := append([]condition{
		{"Ready", "False", "ConfigNotFound", waiting},
		{"Reconciling", "True", "ConfigNotFound", waiting},
	}, probes...)
	all = append(all, summary,
		condition{"Promoted", "True", "NotRequired", "a Test endpoint serves without promotion"},
		condition{"SmsLinked", "True", "NotRequired", "no smsNumberRef: patients of this endpoint get no texts"})

	found := map[string]any{"observedGeneration": object.GetGeneration(), "conditions": merged(object, all)}
	if metadata.document != nil {
		found["fhirVersion"] = metadata.document["fhirVersion"]
		found["software"] = fmt.Sprintf("%v / %v", metadata.document["name"], metadata.document["publisher"])
		found["latencyMilliseconds"] = kept(object, "latencyMilliseconds", metadata.elapsed.Milliseconds())
		found["certificateExpiry"] = expiry.UTC().Format(time.RFC3339)
		found["lastValidated"] = kept(object, "lastValidated", time.Now().UTC().Format(time.RFC3339))
	}
	if smart.document != nil {
		found["smart"] = map[string]any{
			"issuer":                smart.document["issuer"],
			"authorizationEndpoint": smart.document["authorization_endpoint"],
			"tokenEndpoint":         smart.document["token_endpoint"],
			"capabilities":          smart.document["capabilities"],
		}
	}
	return found
}

func network(base *url.URL, metadata, smart answer) []condition {
	names := []string{"DnsResolved", "TlsTrusted", "MetadataOk", "SmartConfigured", "LatencyOk"}
	if metadata.err != nil {
		found := []condition{{names[0], "True", "Resolved", base.Hostname() + " has an address"}}
		found = append(found, condition{names[1], "False", "Unreachable", metadata.err.Error()})
		for _, name := range names[2:] {
			found = append(found, condition{name, "Unknown", "NotReached", "not looked at, since an earlier check failed"})
		}
		return found
	}
	return []condition{
		{names[0], "True", "Resolved", fmt.Sprintf("'%s' has an address that may be connected to", base.Hostname())},
		{names[1], "True", "Trusted", "chain, name and dates of the certificate are accepted"},
		capability(metadata),
		configuration(smart),
		latency(metadata),
	}
}

func capability(metadata answer) condition {
	document := metadata.document
	if metadata.status != http.StatusOK || document["resourceType"] != "CapabilityStatement" {
		return condition{"MetadataOk", "False", "NoCapabilityStatement", fmt.Sprintf("status %d", metadata.status)}
	}
	if version, _ := document["fhirVersion"].(string); version != "4.0.1" {
		return condition{"MetadataOk", "False", "WrongFhirVersion", "the server speaks FHIR " + version}
	}
	rest, _ := document["rest"].([]any)
	for _, one := range rest {
		resources, _ := one.(map[string]any)["resource"].([]any)
		for _, resource := range resources {
			if resource.(map[string]any)["type"] == "Appointment" {
				return condition{"MetadataOk", "True", "Fhir401", "FHIR 4.0.1 with search and patch of Appointment"}
			}
		}
	}
	return condition{"MetadataOk", "False", "NoAppointments", "the server has no Appointment"}
}

func configuration(smart answer) condition {
	if smart.err != nil || smart.status != http.StatusOK || smart.document == nil {
		return condition{"SmartConfigured", "False", "NoSmartConfiguration", fmt.Sprintf("status %d", smart.status)}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint"} {
		if value, _ := smart.document[name].(string); !strings.HasPrefix(value, "https://") {
			return condition{"SmartConfigured", "False", "FieldMissing", name + " is no https URL"}
		}
	}
	capabilities, _ := smart.document["capabilities"].([]any)
	for _, one := range capabilities {
		if one == "launch-ehr" {
			return condition{"SmartConfigured", "True", "Configured", "EHR launch, PKCE with S256, and system access by a signed key are offered, at https addresses"}
		}
	}
	return condition{"SmartConfigured", "False", "NoEhrLaunch", "launch-ehr is not among the capabilities"}
}

func latency(metadata answer) condition {
	if metadata.elapsed > maxLatency {
		return condition{"LatencyOk", "False", "TooSlow", "/metadata takes longer than 5s"}
	}
	return condition{"LatencyOk", "True", "FastEnough", "/metadata answers within 5s (95th percentile of 1 look when this was decided)"}
}

// merged keeps the transition times of conditions whose status is unchanged.
func merged(object *unstructured.Unstructured, wanted []condition) []any {
	standing, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	now := time.Now().UTC().Format(time.RFC3339)
	found := make([]any, 0, len(wanted))
	for _, one := range wanted {
		since := now
		for _, old := range standing {
			if had := old.(map[string]any); had["type"] == one.kind && had["status"] == one.status {
				since, _ = had["lastTransitionTime"].(string)
			}
		}
		found = append(found, map[string]any{
			"type": one.kind, "status": one.status, "reason": one.reason, "message": one.message,
			"lastTransitionTime": since, "observedGeneration": object.GetGeneration(),
		})
	}
	return found
}

// kept returns the standing value of a moving field, so that an unchanged result writes nothing.
func kept(object *unstructured.Unstructured, name string, value any) any {
	standing, found, _ := unstructured.NestedFieldNoCopy(object.Object, "status", name)
	if found {
		return standing
	}
	return value
}

func main() {
	ctrl.SetLogger(zap.New())
	config := ctrl.GetConfigOrDie()
	config.QPS = -1 // no peer is slowed by its own client
	pool, err := x509.SystemCertPool()
	must(err)
	authority, err := os.ReadFile(path.Clean(os.Getenv("PEER_CA_FILE")))
	must(err)
	pool.AppendCertsFromPEM(authority)

	manager, err := ctrl.NewManager(config, ctrl.Options{
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		Cache:                  cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Client:                 client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	must(err)
	watched := &unstructured.Unstructured{}
	watched.SetGroupVersionKind(endpointKind)
	must(ctrl.NewControllerManagedBy(manager).
		For(watched, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{manager.GetClient(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}))
	must(manager.Start(ctrl.SetupSignalHandler()))
}

func must(err error) {
	if err != nil {
		log.Log.Error(err, "the peer ends")
		os.Exit(1)
	}
}
