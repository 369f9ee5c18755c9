"""The whole system on one machine: control plane, stand-ins, operator and connector, played through once."""
