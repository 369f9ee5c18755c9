"""What every page and every API of the connector shares: error answers, headers, metrics."""
