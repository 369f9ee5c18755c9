"""A real Kubernetes control plane on loopback: its programs found, downloaded or built, then started and supervised."""
