"""Stand-ins for Cerner and Azure, a local Kubernetes control plane, and the demo. Never imported by product code."""
