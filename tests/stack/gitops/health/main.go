// Command health says what Argo CD and kstatus make of objects: Argo CD by the scripts of an argocd-cm ConfigMap, run by
// its own Lua engine, kstatus (which Flux, Helm and kpt wait by) on its own.
//
// Standard input is one JSON object with `configMap` and `objects`, standard output a list with a verdict for each.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// healthKey begins the keys of argocd-cm that hold health scripts; the group, `_` and the kind follow.
const healthKey = "resource.customizations.health."

type question struct {
	ConfigMap corev1.ConfigMap            `json:"configMap"`
	Objects   []unstructured.Unstructured `json:"objects"`
}

type verdict struct {
	Argo           string `json:"argo"`
	ArgoMessage    string `json:"argoMessage"`
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
}

func main() {
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, "health:", err)
		os.Exit(1)
	}
}

func answer() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return fmt.Errorf("the input: %w", err)
	}
	overrides := lua.ResourceHealthOverrides{}
	for key, script := range asked.ConfigMap.Data {
		if name, found := strings.CutPrefix(key, healthKey); found {
			overrides[strings.Replace(name, "_", "/", 1)] = v1alpha1.ResourceOverride{HealthLua: script}
		}
	}
	verdicts := make([]verdict, 0, len(asked.Objects))
	for _, object := range asked.Objects {
		one, err := judge(overrides, &object)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		verdicts = append(verdicts, one)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judge(overrides lua.ResourceHealthOverrides, object *unstructured.Unstructured) (verdict, error) {
	argo, err := overrides.GetResourceHealth(object)
	if err != nil {
		return verdict{}, err
	}
	if argo == nil {
		return verdict{}, fmt.Errorf("no script for %s", object.GroupVersionKind())
	}
	computed, err := status.Compute(object)
	if err != nil {
		return verdict{}, err
	}
	return verdict{string(argo.Status), argo.Message, computed.Status.String(), computed.Message}, nil
}
