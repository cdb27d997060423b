"""Files by which Prometheus and Grafana watch runs, rendered from what the sinks show."""
