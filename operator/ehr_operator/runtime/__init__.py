"""What Kopf does not do: work queue, cache, status, events, back-off. It knows no kind and no remote system."""
