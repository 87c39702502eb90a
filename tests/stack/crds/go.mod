module usher.test/stack/crds

go 1.26.0

// Read for their CustomResourceDefinitions alone; nothing of them is compiled. The source-controller is the one whose
// api the kustomize-controller in ../gitops takes.
require (
	github.com/fluxcd/source-controller v1.9.0 // indirect
	github.com/prometheus-operator/prometheus-operator v0.85.0 // indirect
	sigs.k8s.io/gateway-api v1.6.3 // indirect
)
